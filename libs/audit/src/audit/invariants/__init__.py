"""All invariants, in the order in which they are looked at and shown.

Not here, and why:

- I8 compares with what a provider itself knows: the proof over the sandbox's truth does.
- I29 compares with the statements of providers: it comes with them.
- I28 needs the list of what clients were told, which only they have: the torture runs keep it.
- I30 looks for planted secrets in logs and dumps, not in tables: `tests/` plants and looks.
- The signature of a reserve statement: no table holds the key, which is published elsewhere. Its
  chain, its head and its cover are looked at.
"""

from typing import Final

from audit.invariant import Invariant
from audit.invariants.bulk import BULK
from audit.invariants.deliveries import DELIVERIES
from audit.invariants.disbursements import DISBURSEMENTS
from audit.invariants.invoices import INVOICES
from audit.invariants.ledger import LEDGER
from audit.invariants.ledger_accounts import LEDGER_ACCOUNTS
from audit.invariants.messaging import BACKBONE
from audit.invariants.partners import PARTNERS
from audit.invariants.payments import PAYMENTS
from audit.invariants.records import TOPICS
from audit.invariants.reserves import RESERVES
from audit.invariants.selector import SELECTOR
from audit.invariants.tenancy import TENANCY
from audit.invariants.wallets import WALLETS

INVARIANTS: Final[tuple[Invariant, ...]] = (
    *LEDGER,
    *LEDGER_ACCOUNTS,
    *RESERVES,
    *INVOICES,
    *PAYMENTS,
    *DISBURSEMENTS,
    *WALLETS,
    *BULK,
    *SELECTOR,
    *DELIVERIES,
    *PARTNERS,
    *BACKBONE,
    *TOPICS,
    *TENANCY,
)
