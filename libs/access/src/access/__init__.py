"""Who may do what on the broker (docs/adr/0019).

The rights of services follow from the contracts and from what each service declares; those of
partners are given and taken by an operator.
"""
