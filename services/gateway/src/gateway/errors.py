"""What the gateway refuses, by name."""

from messaging.errors import Kind, Refusal


class TenantNotFound(Refusal):
    """The caller acts for no company."""

    code = "tenant_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such tenant"


class OperatorOnly(Refusal):
    """Only the platform's operators may do this."""

    code = "operator_only"
    kind = Kind.FORBIDDEN
    title = "Only the operator's token may do this"


class ApiKeyNotFound(Refusal):
    """The tenant has no such key."""

    code = "api_key_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such API key"


class ScopeNotHeld(Refusal):
    """A key cannot hand on what it does not have."""

    code = "scope_not_held"
    kind = Kind.FORBIDDEN
    title = "An API key can only grant scopes that it has itself"


class ScopeUnknown(Refusal):
    """A scope that is not one of ours."""

    code = "unknown_scope"
    kind = Kind.INVALID
    title = "This is not a scope of the platform"


class ExpiryInPast(Refusal):
    """The key would never work."""

    code = "expiry_in_past"
    kind = Kind.INVALID
    title = "expires_at must be in the future"


class TenantSuspended(Refusal):
    """The company may not use the platform at present."""

    code = "tenant_suspended"
    kind = Kind.FORBIDDEN
    title = "This tenant is suspended"


class PartnerNotFound(Refusal):
    """Nobody has this name."""

    code = "partner_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no partner of this name"


class PartnerNameTaken(Refusal):
    """Names are one space for all tenants, for topics are."""

    code = "partner_name_taken"
    kind = Kind.CONFLICT
    title = "A partner of another tenant has this name; choose another"


class EventTypeUnknown(Refusal):
    """The partner would wait for it in vain."""

    code = "unknown_event_type"
    kind = Kind.INVALID
    title = "No fact that partners may have is of this type"
