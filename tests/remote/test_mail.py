"""Mail from a session, received by a real SMTP server on the loopback."""

import asyncio
import datetime as dt
import email
import email.policy
import gc
import logging
import pickle
import ssl
import time

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from labnb import AsyncSession
from labnb.core import PlanError
from labnb.testing.lag import waited_s

PASSWORD = "s3cret-Tr0ub4dor"


class Inbox:
    """What has arrived."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(
            (
                envelope,
                session.ssl is not None,
                session.authenticated,
                email.message_from_bytes(envelope.content, policy=email.policy.default),
            )
        )
        return "250 OK"


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """Return the TLS contexts of a server with a certificate of its own, and of a client that trusts it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "cert.pem"))


@pytest.fixture
def serve():
    """Return a function that starts an SMTP server and returns its inbox and port."""
    started = []

    def start(port=0, **options):
        inbox = Inbox()
        controller = Controller(inbox, hostname="localhost", port=port or free_port(), **options)
        controller.start()
        started.append(controller)
        return inbox, controller.port

    yield start
    for controller in started:
        controller.stop()


def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def sesn(tmp_path):
    with AsyncSession("oven", verbose=False, store=tmp_path) as session:
        session.save_units(pressure="mbar")
        yield session


async def log(sesn):
    sesn.add_entry({"pressure": 1.25e-3, "<b>flow": float("nan")})
    await sesn.sleep(0.02)


def until(condition, sesn, limit_s=20.0):
    async def wait():
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, "it never came"
            await asyncio.sleep(0.01)
        sesn.ask_exit()

    return wait()


async def test_a_mail_has_the_last_values_as_a_table_and_a_picture_of_each_plot(sesn, serve):
    inbox, port = serve()
    mail = sesn.send_email(
        "oven@lab.example", ["a@lab.example", "b@lab.example"], "localhost", port, initial_delay_hours=0
    )
    await sesn.monitor(log, sesn.plot(["pressure"]), mail, until(lambda: inbox.mails, sesn), server_port=None)
    envelope, _, _, message = inbox.mails[0]
    assert envelope.rcpt_tos == ["a@lab.example", "b@lab.example"]
    assert message["Subject"] == "oven"
    html = message.get_body(("html",)).get_content()
    assert "<td" in html
    assert "0.00125 mbar" in html
    assert "&lt;b&gt;flow" in html
    assert "nan" in html
    assert "0.00125 mbar" in message.get_body(("plain",)).get_content()
    (picture,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content()[:4] == b"\x89PNG"
    assert f"cid:{picture['Content-ID'][1:-1]}" in html


async def test_starttls_and_login_work_and_the_password_is_in_no_file_log_or_repr(
    sesn, serve, contexts, caplog, capfd, tmp_path
):
    caplog.set_level(logging.DEBUG)
    seen = []

    def check(server, session, envelope, mechanism, data):
        seen.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode())

    options = {"tls_context": contexts[0], "require_starttls": True, "authenticator": check, "auth_required": True}
    inbox, port = serve(**options)
    login = {"use_starttls": True, "user": "oven", "password": PASSWORD, "tls_context": contexts[1]}
    mail = sesn.send_email("o@lab.example", "a@lab.example", "localhost", port, initial_delay_hours=0, **login)
    await sesn.monitor(log, mail, until(lambda: inbox.mails, sesn), server_port=None)
    _, encrypted, authenticated, _ = inbox.mails[0]
    assert encrypted
    assert authenticated
    assert seen[0] == (b"oven", PASSWORD.encode())
    postman = sesn._postmen[0]
    texts = [
        repr(mail),
        repr(postman.account),
        str(postman.account),
        f"{postman.account.password}",
        repr(vars(postman)),
        caplog.text,
        *capfd.readouterr(),
    ]
    sesn.close()
    texts += [path.read_bytes().decode("latin1") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in texts if PASSWORD in text]
    with pytest.raises(TypeError, match="password"):
        pickle.dumps(postman.account)


def test_no_frame_of_ours_holds_the_password_when_a_traceback_shows_what_frames_hold(sesn):
    with pytest.raises(PlanError) as caught:
        sesn.send_email("o@lab.example", "a@lab.example", "mail.example", user="oven", password=PASSWORD)
    frames = [
        frame.frame for frame in caught.traceback if "labnb" in str(frame.path) and "tests" not in str(frame.path)
    ]
    assert len(frames) >= 2
    assert PASSWORD not in repr([frame.f_locals for frame in frames])


@pytest.mark.parametrize("password", ["gehéim-ñ", "new\nline"])
async def test_a_password_of_any_letters_never_ends_the_session(sesn, serve, contexts, password):
    def check(server, session, envelope, mechanism, data):
        return AuthResult(success=data.password == password.encode())

    inbox, port = serve(tls_context=contexts[0], auth_required=True, authenticator=check)
    login = {"use_starttls": True, "user": "oven", "password": password, "tls_context": contexts[1]}
    mail = sesn.send_email("o@lab.example", "a@lab.example", "localhost", port, initial_delay_hours=0, **login)
    told = []
    sesn._postmen[0]._tell = told.append
    await sesn.monitor(log, mail, until(lambda: told or inbox.mails, sesn), server_port=None)
    assert password not in str(told)
    assert inbox.mails or "switched off" in told[0]


async def test_a_login_that_is_encrypted_from_the_begin_works(sesn, serve, contexts):
    inbox = Inbox()
    controller = Controller(inbox, hostname="localhost", port=free_port(), ssl_context=contexts[0])
    controller.start()
    try:
        mail = sesn.send_email(
            "o@lab.example", "a@lab.example", "localhost", controller.port, initial_delay_hours=0,
            use_ssl_submission=True, tls_context=contexts[1],
        )  # fmt: skip
        await sesn.monitor(log, mail, until(lambda: inbox.mails, sesn), server_port=None)
    finally:
        controller.stop()
    assert inbox.mails[0][1] or inbox.mails


async def test_one_recipient_who_is_refused_is_told_and_the_others_get_their_mail(sesn, serve):
    inbox, port = serve()

    async def handle_RCPT(server, session, envelope, address, options):
        if address.startswith("gone"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    inbox.handle_RCPT = handle_RCPT
    to = ["gone@lab.example", "a@lab.example"]
    mail = sesn.send_email("o@lab.example", to, "localhost", port, initial_delay_hours=0)
    told = []
    sesn._postmen[0]._tell = told.append
    await sesn.monitor(log, mail, until(lambda: inbox.mails and told, sesn), server_port=None)
    assert inbox.mails[0][0].rcpt_tos == ["a@lab.example"]
    assert told == ["mail did not reach gone@lab.example: 550 no such user"]


async def test_a_refused_login_switches_mail_off_and_the_session_goes_on(sesn, serve, contexts):
    inbox, port = serve(
        tls_context=contexts[0], auth_required=True, authenticator=lambda *_: AuthResult(success=False, handled=False)
    )
    login = {"use_starttls": True, "user": "oven", "password": PASSWORD, "tls_context": contexts[1]}
    mail = sesn.send_email("o@lab.example", "a@lab.example", "localhost", port, initial_delay_hours=0, **login)
    told = []
    sesn._tell = told.append
    sesn._postmen[0]._tell = told.append
    await sesn.monitor(log, mail, until(lambda: told, sesn), server_port=None)
    assert "switched off" in told[0]
    assert PASSWORD not in str(told)
    assert not inbox.mails


@pytest.mark.parametrize("wrong", [{"host": "mail..example"}, {"password": "s3cret-\udcff"}], ids=["host", "password"])
async def test_what_trying_again_cannot_mend_is_told_once_and_switches_mail_off(sesn, serve, contexts, wrong):
    inbox, port = serve(tls_context=contexts[0], auth_required=True, authenticator=lambda *_: AuthResult(success=True))
    login = {"use_starttls": True, "user": "oven", "password": PASSWORD, "tls_context": contexts[1]}
    account = {"host": "localhost", "port": port, **login, **wrong}
    mail = sesn.send_email("o@lab.example", "a@lab.example", **account, initial_delay_hours=0, retry_s=0.01)
    told = []
    sesn._postmen[0]._tell = told.append
    ended = []

    async def watched():
        await mail
        ended.append(True)

    await sesn.monitor(log, watched(), until(lambda: ended or len(told) > 1, sesn), server_port=None)
    (text,) = told
    assert "mail is switched off" in text
    assert "s3cret" not in text
    assert not inbox.mails


@pytest.mark.speed
async def test_a_server_that_is_down_is_tried_again_and_holds_nothing_up(sesn, serve):
    port = free_port()
    told, lags = [], []

    async def watch(_):
        before, waited = time.perf_counter(), waited_s()
        await asyncio.sleep(0.002)
        lags.append(time.perf_counter() - before - 0.002 - (waited_s() - waited))

    mail = sesn.send_email("o@lab.example", "a@lab.example", "localhost", port, initial_delay_hours=0, retry_s=0.1)
    sesn._postmen[0]._tell = told.append
    inbox = []

    async def later():
        while len(told) < 3:
            await asyncio.sleep(0.01)
        lags_while_down.extend(lags)
        inbox.append((await asyncio.to_thread(serve, port))[0])
        while not inbox[0].mails:
            await asyncio.sleep(0.01)
        sesn.ask_exit()

    lags_while_down = []
    gc.collect()
    await sesn.monitor(log, watch, mail, later(), server_port=None)
    assert [text.rpartition("in ")[2] for text in told[:3]] == ["0.1 s", "0.2 s", "0.4 s"]
    p99 = sorted(lags_while_down)[int(len(lags_while_down) * 0.99)]
    print(f"loop lag p99 {1e3 * p99:.1f} ms, most {1e3 * max(lags_while_down):.1f} ms, of {len(lags_while_down)}")
    assert p99 < 0.02


async def test_an_alarm_is_mailed_to_who_gets_mail_of_the_session(sesn, serve):
    inbox, port = serve()
    sesn.send_email("o@lab.example", "a@lab.example", "localhost", port)
    sesn.alert("pressure > 1e-3", "mail")
    await sesn.monitor(log, until(lambda: inbox.mails, sesn), server_port=None)
    assert inbox.mails[0][3]["Subject"] == "oven: ALARM pressure > 1e-3: pressure is 0.00125"


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"from_addr": "nobody"}, "no mail address"),
        ({"to_addrs": []}, "empty"),
        ({"to_addrs": "a@b\r\nBcc: x@y"}, "no mail address"),
        ({"use_starttls": True, "use_ssl_submission": True}, "two ways"),
        ({"user": "me"}, "both user and password"),
        ({"user": "me", "password": "x", "host": "mail.example"}, "without encryption"),
        ({"port": 0}, "port"),
        ({"delay_hours": 0}, "delay_hours"),
    ],
)
def test_an_account_that_cannot_be_is_refused_at_once(sesn, options, hint):
    with pytest.raises(PlanError, match=hint):
        sesn.send_email(**{"from_addr": "o@lab.example", "to_addrs": "a@lab.example", **options})
