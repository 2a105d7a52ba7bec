-- The auditor may see that a wallet has its secrets, not what they are: destroying them destroys the link.
revoke select on wallet_secret from invoiceos_auditor;
grant select (tenant_id, wallet_id) on wallet_secret to invoiceos_auditor;
