# pragma version 0.4.3
# pragma evm-version paris
"""
@title  Where one invoice is paid
@notice Each deposit address is a minimal proxy (EIP-1167) of this one contract. Whatever lies at an
        address leaves it by its factory alone, which sends it to one treasury and nowhere else.
@dev    The factory makes this contract in its constructor and is thereby its only caller. Under a
        proxy immutables are read from this contract's code, so they are the same for all of them.
"""

interface Token:
    def balanceOf(owner: address) -> uint256: view
    def transfer(to: address, amount: uint256) -> bool: nonpayable


FACTORY: public(immutable(address))


@deploy
def __init__():
    FACTORY = msg.sender


@external
@payable
def __default__():
    """
    @notice Coins of the chain may come too; they are swept as the token of address zero.
    """
    pass


@external
def sweep(token: address, to: address) -> uint256:
    """
    @notice Send all of a token to `to`; how much that was. Nothing there is no fault.
    @dev    A token that returns nothing from `transfer` counts as one that returned true.
    """
    assert msg.sender == FACTORY, "only the factory"
    amount: uint256 = 0
    if token == empty(address):
        amount = self.balance
        if amount > 0:
            raw_call(to, b"", value=amount)
    else:
        amount = staticcall Token(token).balanceOf(self)
        if amount > 0:
            assert extcall Token(token).transfer(to, amount, default_return_value=True), "refused"
    return amount
