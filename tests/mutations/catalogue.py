"""All planted faults. The table of what caught them is docs/mutations.md."""

from tests.mutations.planted import backbone, edge, money, routing, schema, services

MUTATIONS = (
    *backbone.PLANTED,
    *money.PLANTED,
    *edge.PLANTED,
    *services.PLANTED,
    *routing.PLANTED,
    *schema.PLANTED,
)
