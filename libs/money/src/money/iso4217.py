"""ISO 4217 list one as of amendment 180 (published 1 January 2026): codes by exponent.

Only codes with a minor unit are money here. Left out, since the standard gives them none: the
metals XAG XAU XPD XPT, the bond units XBA XBB XBC XBD, the units of account XDR XSU XUA, the
test code XTS and the empty code XXX. Withdrawn codes (ANG, BGN, CUC, HRK, SLL, ZWL ...) are
absent as well. A new amendment changes this table and nothing else.
"""

from typing import Final

WITHOUT_DECIMALS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"

TWO_DECIMALS: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP "
    "GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK "
    "LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO "
    "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS "
    "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST "
    "XAD XCD XCG YER ZAR ZMW ZWG"
)

THREE_DECIMALS: Final = "BHD IQD JOD KWD LYD OMR TND"

FOUR_DECIMALS: Final = "CLF UYW"

EXPONENT_BY_CODE: Final[dict[str, int]] = {
    code: exponent
    for exponent, codes in (
        (0, WITHOUT_DECIMALS),
        (2, TWO_DECIMALS),
        (3, THREE_DECIMALS),
        (4, FOUR_DECIMALS),
    )
    for code in codes.split()
}
