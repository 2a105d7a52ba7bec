# pragma version 0.4.3
# pragma evm-version paris
"""
@title  Deposit addresses and their sweep
@notice An address is known before anything stands there: CREATE2 of this factory, a salt and the
        proxy's code. `flush` puts the proxy there where it is missing and sends what lies there to
        the treasury, which is fixed for ever. The operator's key can do that and nothing else.
"""

interface DepositWallet:
    def sweep(token: address, to: address) -> uint256: nonpayable


event Swept:
    salt: indexed(bytes32)
    token: indexed(address)
    wallet: address
    amount: uint256


event SweepRefused:
    salt: indexed(bytes32)
    token: indexed(address)
    wallet: address


event OperatorChanged:
    operator: indexed(address)


BATCH_MAX: constant(uint256) = 100
PREAMBLE: constant(Bytes[19]) = x"602d3d8160093d39f3363d3d373d3d3d363d73"
REMAINDER: constant(Bytes[15]) = x"5af43d82803e903d91602b57fd5bf3"

TREASURY: public(immutable(address))
IMPLEMENTATION: public(immutable(address))
PROXY_CODE_HASH: immutable(bytes32)
operator: public(address)


@deploy
def __init__(treasury: address, operator: address, wallet_code: Bytes[4096]):
    """
    @param wallet_code Creation code of `deposit_wallet.vy`: made here, so that this factory is its
                       only caller.
    """
    assert treasury != empty(address), "no treasury"
    TREASURY = treasury
    IMPLEMENTATION = raw_create(wallet_code)
    PROXY_CODE_HASH = keccak256(
        concat(PREAMBLE, convert(IMPLEMENTATION, bytes20), REMAINDER)
    )
    self.operator = operator
    log OperatorChanged(operator=operator)


@external
@view
def wallet_of(salt: bytes32) -> address:
    """
    @notice The deposit address of a salt, whether or not anything stands there yet.
    """
    return self._wallet_of(salt)


@internal
@view
def _wallet_of(salt: bytes32) -> address:
    digest: bytes32 = keccak256(
        concat(b"\xff", convert(self, bytes20), salt, PROXY_CODE_HASH)
    )
    return convert(convert(digest, uint256) & convert(max_value(uint160), uint256), address)


@external
def set_operator(operator: address):
    """
    @notice The treasury alone says who may sweep; it may always sweep itself.
    """
    assert msg.sender == TREASURY, "only the treasury"
    self.operator = operator
    log OperatorChanged(operator=operator)


@external
def flush(salts: DynArray[bytes32, BATCH_MAX], token: address):
    """
    @notice Send what lies at these addresses to the treasury.
    @dev    A wallet whose transfer is refused (the token may have frozen it) holds up no other.
    """
    assert msg.sender == self.operator or msg.sender == TREASURY, "only the operator"
    for salt: bytes32 in salts:
        wallet: address = self._wallet_of(salt)
        if not wallet.is_contract:
            made: address = create_minimal_proxy_to(IMPLEMENTATION, salt=salt)
            assert made == wallet, "another address"
        swept: bool = False
        answer: Bytes[32] = b""
        swept, answer = raw_call(
            wallet,
            abi_encode(token, TREASURY, method_id=method_id("sweep(address,address)")),
            max_outsize=32,
            revert_on_failure=False,
        )
        if swept:
            log Swept(salt=salt, token=token, wallet=wallet, amount=convert(answer, uint256))
        else:
            log SweepRefused(salt=salt, token=token, wallet=wallet)
