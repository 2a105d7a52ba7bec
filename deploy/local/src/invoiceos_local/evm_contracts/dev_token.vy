# pragma version 0.4.3
# pragma evm-version paris
"""
@title  A token of the local chain, of six decimals, that anybody may make more of
@notice For development and tests. It can freeze an address, as issuers of real ones can.
"""

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    value: uint256


symbol: public(String[12])
decimals: public(constant(uint8)) = 6
balanceOf: public(HashMap[address, uint256])
frozen: public(HashMap[address, bool])


@deploy
def __init__(symbol: String[12]):
    self.symbol = symbol


@external
def mint(to: address, amount: uint256):
    self.balanceOf[to] += amount
    log Transfer(sender=empty(address), receiver=to, value=amount)


@external
def freeze(account: address, frozen: bool):
    self.frozen[account] = frozen


@external
def transfer(to: address, amount: uint256) -> bool:
    assert not self.frozen[msg.sender], "frozen"
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[to] += amount
    log Transfer(sender=msg.sender, receiver=to, value=amount)
    return True
