"""Faults of libs/money: amounts that are not exact, or do not sum."""

from tests.mutations.mutation import Mutation

_MONEY = "libs/money/src/money"
_TESTS = "tests/libs/money"

PLANTED = (
    Mutation(
        name="float-money",
        sentence="Amounts are divided as floating-point numbers.",
        file=f"{_MONEY}/rounding.py",
        old="    lower, rest = divmod(numerator, denominator)",
        new="    quotient = numerator / denominator\n"
        "    lower = int(quotient // 1)\n"
        "    rest = int((quotient - lower) * denominator)",
        suite=f"{_TESTS}/test_rounding.py::test_division_equals_the_exact_fraction_rounded",
    ),
    Mutation(
        name="half-even-rounds-to-odd",
        sentence="A half goes to the odd neighbour.",
        file=f"{_MONEY}/rounding.py",
        old="(beyond_half == 0 and lower % 2 == 1)",
        new="(beyond_half == 0 and lower % 2 == 0)",
        suite=f"{_TESTS}/test_rounding.py::test_modes_mean_what_the_decimal_module_means",
    ),
    Mutation(
        name="allocation-loses-the-last-unit",
        sentence="One of the left-over minor units is given to nobody.",
        file=f"{_MONEY}/allocation.py",
        old="    for at in by_remainder[: size - sum(parts)]:",
        new="    for at in by_remainder[1 : size - sum(parts)]:",
        suite=f"{_TESTS}/test_allocation.py::test_parts_sum_to_the_amount",
    ),
    Mutation(
        name="assets-mix",
        sentence="Amounts of two assets are added as if they were one.",
        file=f"{_MONEY}/money.py",
        old="        if self.asset is not other.asset and self.asset != other.asset:",
        new="        if False:",
        suite=f"{_TESTS}/test_money.py::test_two_assets_never_mix",
    ),
    Mutation(
        name="amounts-without-a-limit",
        sentence="An amount may be larger than the database can hold.",
        file=f"{_MONEY}/money.py",
        old="        if abs(self.minor) > max_minor(self.asset):",
        new="        if False:",
        suite=f"{_TESTS}/test_money.py::test_the_limit_is_a_million_million_units_of_every_asset",
    ),
    Mutation(
        name="compound-tax-on-the-net-alone",
        sentence="A tax on tax forgets the taxes before it.",
        file=f"{_MONEY}/tax.py",
        old="        base = whole + sum(of_net) if tax.compound else whole",
        new="        base = whole",
        suite=f"{_TESTS}/test_calculator.py::test_a_compound_tax_is_charged_on_the_tax_before_it",
    ),
    Mutation(
        name="tax-per-document-rounded-per-line",
        sentence="A tax that is to be rounded once for the document is rounded on each line.",
        file=f"{_MONEY}/calculator.py",
        old="        key = at if granularity is TaxRounding.PER_LINE else 0",
        new="        key = at",
        suite=f"{_TESTS}/test_calculator.py"
        "::test_rounding_per_line_and_per_document_differ_by_the_cents_of_the_lines",
    ),
    Mutation(
        name="included-tax-charged-twice",
        sentence="A tax the price contains is not taken out of the net.",
        file=f"{_MONEY}/calculator.py",
        old="    net = price - total_of(included, asset)",
        new="    net = price",
        suite=f"{_TESTS}/test_calculator.py::test_an_included_tax_is_taken_out_of_the_price",
    ),
    Mutation(
        name="par-forgets-the-exponent",
        sentence="A cent and a millionth of a token count as the same.",
        file=f"{_MONEY}/par.py",
        old="    return power_of_ten(EXPONENT_MAX - asset.exponent)",
        new="    return 1",
        suite=f"{_TESTS}/test_par.py::test_a_cent_is_ten_thousand_micros_in_any_dollar",
    ),
)
