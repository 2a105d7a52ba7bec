"""What operators see of an invoice when they trace it."""

from messaging.operations import Traced

TRACED = (
    Traced(
        "payment",
        """
        select tenant_id, invoice_id, updated_at as at,
               state || coalesce(', ' || cause, '') as title,
               null::uuid as cause, 'pay:' || id as subject,
               jsonb_build_object('amount_minor', amount_minor, 'asset', asset, 'rail', rail,
                                  'block', block_number, 'final_at', final_at, 'transaction',
                                  '0x' || encode(transaction_hash, 'hex')) as details
        from payment
        """,
    ),
)
