"""What SCPI-99 and IEEE 488.2 say of a message, row by row: what is sent, what is answered, which errors are queued."""

import pytest

N = "+{:.8E}".format


def rows(*table):
    return pytest.mark.parametrize(
        ("message", "answer", "errors"), [row if len(row) == 3 else (*row, []) for row in table]
    )


@rows(
    ("VOLT?", N(1)), ("volt?", N(1)), ("VOLTAGE?", N(1)), ("VoLtAgE?", N(1)), (":VOLT?", N(1)),
    ("VOLTA?", None, [-113]), ("VOL?", None, [-113]), ("VOLTAG?", None, [-113]), ("VOLTAGES?", None, [-113]),
    ("SOUR:VOLT?", N(1)), ("SOURCE:VOLT:LEV?", N(1)), ("VOLT:LEV:IMM?", N(1)), ("SOUR:VOLT:IMM?", N(1)),
    ("SOURC:VOLT?", None, [-113]), ("VOLT:LEVE?", None, [-113]), ("VOLT:SLEW:LEV?", None, [-113]),
    ("VOLT:SLEW?", N(1)), ("SYST:ERR:NEXT?", '0,"No error"'), ("LABEL:DATA?", '""'),
    ("FOO", None, [-113]), ("*FOO?", None, [-113]), ("IDN?", None, [-113]), ("*IDN", None, [-113]),
    ("READ", None, [-113]), ("OUTP:STAT?", "0"), ("VOLT!?", None, [-101]), ("VOLTAGELEVELS 1", None, [-112]),
    ("", None), (";;", None), ("  \t VOLT?  \r", N(1)), (":", None, [-113]), ("?", None, [-113]),
)  # fmt: skip
def test_headers_have_a_long_and_a_short_form_and_optional_nodes(tell, message, answer, errors):
    assert tell(message) == (answer, errors)


@rows(
    ("SOUR2:VOLT 3;VOLT? (@1:4)", ",".join(map(N, (1, 3, 1, 1)))), ("SOUR1:VOLT?", N(1)), ("SOURCE4:VOLT?", N(1)),
    ("SOUR5:VOLT?", None, [-114]), ("SOUR0:VOLT?", None, [-114]), ("SOUR12345678:VOLT?", None, [-114]),
    ("VOLT1?", None, [-113]), ("FREQ2?", None, [-113]),
    ("VOLT 2,(@1,3:4);VOLT? (@1:4)", ",".join(map(N, (2, 1, 2, 2)))), ("VOLT? (@4,1)", f"{N(1)},{N(1)}"),
    ("VOLT 2,( @1)", None, [-108]), ("VOLT? (@ 1 : 2 , 4 )", ",".join(map(N, (1, 1, 1)))),
    ("VOLT 2,(@5)", None, [-222]), ("VOLT 2,(@0)", None, [-222]), ("VOLT 2,(@1,9);VOLT? (@1)", N(1), [-222]),
    ("VOLT 2,(@)", None, [-104]), ("VOLT 2,(@1", None, [-104]), ("VOLT 2,(@1:)", None, [-104]),
    ("VOLT 2,(@1),(@2)", None, [-108]), ("FREQ 5,(@1)", None, [-108]), ("VOLT (@1)", None, [-109]),
    ("VOLT? (@1:99999)", None, [-223]),
)  # fmt: skip
def test_suffixes_and_lists_name_channels(tell, message, answer, errors):
    assert tell(message) == (answer, errors)


@rows(
    ("VOLT?;FREQ?", f"{N(1)};{N(1e3)}"), ("FREQ?;*IDN?", f"{N(1e3)};LABNB,TRIAL,SIM0099,1.0"),
    ("SAMP:COUN 5;COUN?", "5"), ("TRIG:SOUR BUS;DEL 2;SOUR?;DEL?", f"BUS;{N(2)}"),
    ("TRIG:SOUR BUS;*CLS;DEL 2;*OPC?;SOUR?", "1;BUS"), ("TRIG:SOUR BUS;:FREQ 5;FREQ?", N(5)),
    ("TRIG:SOUR BUS;FREQ?", None, [-113]), ("TRIG:SOUR?;:TRIG:DEL?", f"IMM;{N(0)}"),
    ("VOLT:LEV 3;SLEW 4;SLEW?", N(4)), ("SOUR2:VOLT:LEV 3;SLEW 4;:SOUR2:VOLT:SLEW?", N(4)),
    ("VOLT 2;FOO;VOLT 3;:VOLT?", None, [-113]), ("VOLT 2;VOLT 99;VOLT?", N(2), [-222]),
    ("FREQ?;FOO;FREQ?", N(1e3), [-113]), ("LABEL:DATA 'a;b';DATA?", '"a;b"'), ("FREQ 1;;FREQ?;", N(1)),
)  # fmt: skip
def test_units_of_one_message_share_a_path_and_a_joined_answer(tell, message, answer, errors):
    assert tell(message) == (answer, errors)


@rows(
    ("VOLT 500mV;VOLT?", N(0.5)), ("VOLT 500 MV;VOLT?", N(0.5)), ("VOLT 5e6uV;VOLT?", N(5)), ("VOLT 1V;VOLT?", N(1)),
    ("VOLT 0.001KV;VOLT?", N(1)), ("VOLT .5;VOLT?", N(0.5)), ("VOLT 5.;VOLT?", N(5)), ("VOLT +1 E +0;VOLT?", N(1)),
    ("VOLT 1\tE\t0 V;VOLT?", N(1)), ("VOLT #H0A;VOLT?", N(10)), ("VOLT #q12;VOLT?", N(10)), ("VOLT #B101;VOLT?", N(5)),
    ("FREQ 1.5 MHZ;FREQ?", N(1.5e6)), ("FREQ 1.5MAHZ;FREQ?", N(1.5e6)), ("FREQ 2kHz;FREQ?", N(2e3)),
    ("FREQ 5uHz;FREQ?", N(5e-6)), ("RES 1MOHM;RES?", N(1e6)), ("RES 2MAOHM;RES?", N(2e6)), ("RES 3KOHM;RES?", N(3e3)),
    ("RES 1GOHM;RES?", N(1e9)), ("TRIG:DEL 5MS;DEL?", N(5e-3)), ("TRIG:DEL 5nS;DEL?", N(5e-9)),
    ("VOLT MIN;VOLT?", "-1.00000000E+01"), ("VOLT MAXimum;VOLT?", N(10)), ("VOLT DEF;VOLT?", N(1)),
    ("VOLT? MIN", "-1.00000000E+01"), ("VOLT? maximum", N(10)), ("VOLT? DEF,(@1,2)", f"{N(1)},{N(1)}"),
    ("VOLT 5A", None, [-131]), ("VOLT 5XV", None, [-131]), ("VOLT:SLEW 5V", None, [-138]), ("SAMP:COUN 5S", None, [-138]),
    ("VOLT 10.1", None, [-222]), ("VOLT -1E9", None, [-222]), ("VOLT 1E400", None, [-222]), ("VOLT? MINI", None, [-224]),
    ("VOLT", None, [-109]), ("VOLT 1,2", None, [-108]), ("VOLT 1,,2", None, [-103]), ("VOLT ,", None, [-103]),
    ("VOLT FOO", None, [-104]), ("VOLT '5'", None, [-104]), ("VOLT #13123", None, [-104]), ("VOLT nan", None, [-104]),
    ("VOLT #HXY", None, [-121]), ("VOLT #Q8", None, [-121]), ("VOLT 1E99999", None, [-123]),
    ("VOLT 1" + "0" * 300, None, [-124]), ("VOLT #H" + "F" * 300, None, [-124]), ("VOLT? 5", None, [-224]),
)  # fmt: skip
def test_numbers_have_units_multipliers_limits_and_special_values(tell, message, answer, errors):
    assert tell(message) == (answer, errors)


@rows(
    ("SAMP:COUN 12.4;COUN?", "12"), ("SAMP:COUN 1E3;COUN?", "1000"), ("SAMP:COUN #HFF;COUN?", "255"),
    ("OUTP ON;OUTP?", "1"), ("OUTP 1;OUTP?", "1"), ("OUTP 2.7;OUTP?", "1"), ("OUTP off;OUTP?", "0"),
    ("OUTP 0.4;OUTP?", "0"), ("OUTP YES", None, [-141]), ("OUTP 'ON'", None, [-104]), ("OUTP 1V", None, [-138]),
    ("TRIG:SOUR IMMediate;SOUR?", "IMM"), ("TRIG:SOUR ext;SOUR?", "EXT"), ("TRIG:SOUR EXTE", None, [-224]),
    ("TRIG:SOUR NONE", None, [-224]), ("TRIG:SOUR 5", None, [-104]), ("TRIG:SOUR 'BUS'", None, [-104]),
    ("OUTP", None, [-109]), ("OUTP? 1", None, [-108]), ("TRIG:SOUR BUS,EXT", None, [-108]),
)  # fmt: skip
def test_whole_numbers_switches_and_choices(tell, message, answer, errors):
    assert tell(message) == (answer, errors)


@rows(
    ('LABEL "abc";LABEL?', '"abc"'), ("LABEL 'abc';LABEL?", '"abc"'), ('LABEL "say ""hi""";LABEL?', '"say ""hi"""'),
    ("LABEL 'it''s';LABEL?", '"it\'s"'), ("LABEL 'say \"hi\"';LABEL?", '"say ""hi"""'), ('LABEL "";LABEL?', '""'),
    ('LABEL ",;(@#";LABEL?', '",;(@#"'), ('LABEL "abc', None, [-151]), ("LABEL 'a\"", None, [-151]),
    ('LABEL "a"b"', None, [-151]), ("LABEL abc", None, [-104]), ("LABEL 5", None, [-104]), ("LABEL", None, [-109]),
)  # fmt: skip
def test_texts_stand_in_quotes_of_either_kind_that_are_doubled_inside(tell, message, answer, errors):
    assert tell(message) == (answer, errors)


@rows(
    ("DATA #15hello;DATA?", "#15hello"), ("DATA #3005a;b\n,;DATA?", "#15a;b\n,"), ("DATA #10;DATA?", "#10"),
    ("DATA #0a;b,c'\"", None), ("DATA #19hell", None, [-161]), ("DATA #9", None, [-161]), ("DATA #1x", None, [-161]),
    ("DATA #12abX", None, [-161]), ("DATA #11a,#11b", None, [-108]), ("DATA", None, [-109]), ("DATA 5", None, [-108]),
)  # fmt: skip
def test_blocks_are_definite_or_go_on_to_the_end(tell, message, answer, errors):
    assert tell(message) == (answer, errors)


def test_an_indefinite_block_takes_all_that_follows_but_the_last_newline(tell):
    tell("DATA #0a;b,c'\"\n#15\n")
    assert tell("DATA?") == ("#212a;b,c'\"\n#15\n", [])


@rows(
    ("*IDN? 5", None, [-108]), ("*RST 1", None, [-108]), ("*CLS 1", None, [-108]), ("*OPC? 1", None, [-108]),
    ("*ESE", None, [-109]), ("*ESE 256", None, [-222]), ("*ESE -1", None, [-222]), ("*ESE 1,2", None, [-108]),
    ("*ESE #H21;*ESE?", "33"), ("*SRE 255;*SRE?;*SRE 0", "191"), ("*TST?", "0"), ("*OPT?", "0"),
    ("SYST:ERR?", '0,"No error"'), (":SYSTem:ERRor:COUNt?", "0"), ("SYST:VERS?", "1999.0"), ("*OPC?", "1"),
    ("*WAI;*OPC?", "1"), ("*idn?", "LABNB,TRIAL,SIM0099,1.0"), ("*TRG;OUTP?", "1"),
)  # fmt: skip
def test_common_commands(tell, message, answer, errors):
    assert tell(message) == (answer, errors)


def test_the_error_queue_keeps_the_oldest_and_ends_in_overflow(tell):
    _, errors = tell("VOLT 99;" * 25)
    assert errors == [-222] * 19 + [-350]


def test_an_error_says_what_it_is_about(trials, ask_trial):
    ask_trial("VOLT 99")
    ask_trial('F"O')
    assert ask_trial("SYST:ERR?") == '-222,"Data out of range;99"'
    assert ask_trial("SYST:ERR?") == '-101,"Invalid character;F?O"'
