"""An emulated AWS on this machine, to which `.ci/deploy.py` deploys, and access to it by the host names it assigns.

MiniStack stands in for AWS and enforces IAM. It runs the zip that `sam build` made behind a Runtime API, with the
role's credentials. Comments that begin with "MiniStack:" say how it differs from AWS, and how this script copes.
"""

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import boto3

PROGRAMS = Path(os.environ["MINISTACK"])
# The stack that `sam deploy` creates once per region. It has the bucket to which all stacks upload.
SAM = "aws-sam-cli-managed-default"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Cloud:
    """A running MiniStack."""

    def __init__(self, work):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        (work / "bin").mkdir()
        (work / "bin/aws").symlink_to(PROGRAMS / "aws")
        self.environment = os.environ | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
            "PATH": f"{work}/bin:{os.environ['PATH']}",
        }
        self.log = work / "ministack.log"
        # MiniStack: functions inherit this environment, and do not get the settings of their LoggingConfig. The last
        # two variables are these settings.
        environment = self.environment | {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "TMPDIR": str(work),
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "ministack"],
                cwd=work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait()

    def wait(self):
        for _ in range(600):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/_ministack/health")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            assert self.process.poll() is None, f"MiniStack ended: {self.log.read_text()[-3000:]}"
            time.sleep(0.2)
        raise AssertionError(f"MiniStack does not answer: {self.log.read_text()[-3000:]}")

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def inventory(self):
        """Everything that a stack of this template could leave behind, each with its kind."""
        stacks = self.client("cloudformation").list_stacks()["StackSummaries"]
        apis = self.client("apigatewayv2")
        cloudwatch = self.client("cloudwatch")
        there = {
            "stack": [stack["StackName"] for stack in stacks if stack["StackStatus"] != "DELETE_COMPLETE"],
            "table": self.client("dynamodb").list_tables()["TableNames"],
            "function": [function["FunctionName"] for function in self.client("lambda").list_functions()["Functions"]],
            "secret": [secret["Name"] for secret in self.client("secretsmanager").list_secrets()["SecretList"]],
            "log group": [group["logGroupName"] for group in self.client("logs").describe_log_groups()["logGroups"]],
            "alarm": [alarm["AlarmName"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]],
            "dashboard": [entry["DashboardName"] for entry in cloudwatch.list_dashboards()["DashboardEntries"]],
            "topic": [topic["TopicArn"] for topic in self.client("sns").list_topics()["Topics"]],
            "role": [role["RoleName"] for role in self.client("iam").list_roles()["Roles"]],
            "API": [api["ApiId"] for api in apis.get_apis()["Items"]],
            "domain": [domain["DomainName"] for domain in apis.get_domain_names()["Items"]],
        }
        return {(kind, name) for kind, names in there.items() for name in names if name != SAM}


class Front(BaseHTTPRequestHandler):
    """Serves TLS for the host name of a Function URL.

    MiniStack: it serves that name, too, but handles `POST /login` there itself. So this forwards each request to the path
    that MiniStack has for the Function URL.
    """

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        url = re.fullmatch(r"([a-z0-9]+)\.lambda-url\.us-east-1\.on\.aws", self.headers.get("host", ""))
        if not url:
            return self.send_error(421)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        behind.request(self.command, f"/_aws/lambda-url/{url[1]}{self.path}", body or None, headers)
        answer = behind.getresponse()
        content = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content)
        behind.close()

    do_GET = do_HEAD = do_POST = answer

    def log_message(self, *_):
        pass


class Tls(ThreadingHTTPServer):
    def __init__(self, work, behind):
        self.behind = behind
        key, certificate = work / "key.pem", work / "certificate.pem"
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
        subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        super().__init__(("127.0.0.1", 0), Front)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    # The handshake runs in the connection's own thread, so a browser that opens a connection and waits delays no other.
    def finish_request(self, request, client_address):
        request.settimeout(60)
        with self.context.wrap_socket(request, server_side=True) as stream:
            super().finish_request(stream, client_address)

    def handle_error(self, *_):
        """Ignores the error when a browser closes its connection."""


class Site:
    """Sends to a URL what a visitor's browser would send."""

    def __init__(self, url, port):
        self.host = urlsplit(url).hostname
        self.port = port
        self.context = ssl._create_unverified_context()

    def request(self, method, path, cookie=None, form=None):
        connection = http.client.HTTPSConnection(self.host, timeout=60)
        stream = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sock = self.context.wrap_socket(stream, server_hostname=self.host)
        headers = {"sec-fetch-site": "same-origin"} | ({"cookie": cookie} if cookie else {})
        if form:
            headers["content-type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, urlencode(form) if form else None, headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, answer.getheader("set-cookie", ""), body

    def login(self, name):
        """Logs in, and returns the cookie."""
        status, cookie, body = self.request("POST", "/login", form={"username": name})
        assert status == 303 and cookie.startswith("__Host-"), f"login: {status} {cookie} {body}"
        return cookie.split(";")[0]

    def who(self, cookie):
        """Returns the name of the visitor who is logged in, or None."""
        status, _, body = self.request("GET", "/", cookie)
        # MiniStack: when it deploys a function again, it kills a process that is serving a request, which Lambda would
        # let finish. So this repeats the request once. If the function itself fails, it fails again.
        if status == 502 and "Runtime.ExitError" in body:
            status, _, body = self.request("GET", "/", cookie)
        assert status == 200, f"GET /: {status} {body}"
        found = re.search(r"Logged in as (\w+)", body)
        return found and found[1]

    @contextmanager
    def logged_in(self, name, cookie):
        """Loads the page repeatedly while something is deployed, and fails if one was not this visitor's."""
        stop, views, failures = threading.Event(), [], []

        def visit():
            try:
                while not stop.wait(0.05):
                    views.append(self.who(cookie))
            except Exception as error:
                failures.append(f"after {len(views)} views: {error!r}")

        thread = threading.Thread(target=visit)
        thread.start()
        try:
            yield views
        finally:
            stop.set()
            thread.join()
        assert not failures, failures
        assert set(views) == {name}, f"of {len(views)} pages, {len(views) - views.count(name)} were not {name}'s"
