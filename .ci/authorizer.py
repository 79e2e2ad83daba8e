"""Deploys the example authorizer, with a site and a function in Python, to the emulated AWS of `.ci/deploy.py`."""

import http.client
import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlencode

from cfnlint.decode import cfn_yaml

ROOT = Path(__file__).resolve().parent.parent
STACK = "authorizer"
BUILT = ROOT / "target/debug/examples"


class Authorized:
    """The deployed stack, and a visitor of its HTTP API."""

    def __init__(self, cloud, work):
        self.cloud, self.folder = cloud, work / STACK
        build = ["cargo", "build", "--locked", "--quiet", "-p", "lambda-session", "--all-features"]
        subprocess.run([*build, "--example", "account", "--example", "authorizer"], cwd=ROOT, check=True)
        template = json.loads(json.dumps(cfn_yaml.loads((ROOT / "session/examples/authorizer/template.yaml").read_text())))
        resources = template["Resources"]
        for name, example in {"Site": "account", "Authorizer": "authorizer"}.items():
            (self.folder / name).mkdir(parents=True)
            shutil.copy(BUILT / example, self.folder / name / "bootstrap")
            # The examples are built already, for this machine.
            assert resources[name].pop("Metadata")["BuildMethod"] == "rust-cargolambda"
            resources[name]["Properties"]["CodeUri"] = f"{name}/"
        # MiniStack: its GenerateSecretString ignores ExcludePunctuation, and the functions refuse to start with a key that
        # has a comma.
        secret = resources["SessionSecret"]["Properties"]
        assert secret.pop("GenerateSecretString")["ExcludePunctuation"] is True
        secret["SecretString"] = os.urandom(32).hex()
        (self.folder / "template.json").write_text(json.dumps(template))

    def sam(self, *arguments):
        ran = subprocess.run(
            ["sam", *arguments, "--stack-name", STACK],
            cwd=self.folder,
            env=self.cloud.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert ran.returncode == 0, f"sam {arguments}: exit status {ran.returncode}\n{ran.stdout[-6000:]}"

    def resource(self, name):
        cloudformation = self.cloud.client("cloudformation")
        detail = cloudformation.describe_stack_resource(StackName=STACK, LogicalResourceId=name)
        return detail["StackResourceDetail"]["PhysicalResourceId"]

    def request(self, method, path, cookie=None, form=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.cloud.port, timeout=60)
        headers = {"sec-fetch-site": "same-origin", "accept": "application/json"} | ({"cookie": cookie} if cookie else {})
        if form:
            headers["content-type"] = "application/x-www-form-urlencoded"
        # MiniStack: this path stands for the API's host name.
        url = f"/_aws/execute-api/{self.resource('Api')}/$default{path}"
        connection.request(method, url, urlencode(form) if form else None, headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, answer.getheader("set-cookie", "").split(";")[0], body

    def authorizer_uri(self):
        function = self.cloud.client("lambda").get_function(FunctionName=self.resource("Authorizer"))
        arn = function["Configuration"]["FunctionArn"]
        return f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"

    def rest_api(self):
        """Makes a REST API of which the authorizer guards the only page. Returns its ID."""
        rest = self.cloud.client("apigateway")
        api = rest.create_rest_api(name=STACK)["id"]
        (root,) = rest.get_resources(restApiId=api)["items"]
        page = {"restApiId": api, "resourceId": root["id"], "httpMethod": "GET"}
        cookie = {"identitySource": "method.request.header.Cookie", "authorizerResultTtlInSeconds": 0}
        made = rest.create_authorizer(
            restApiId=api, name="logged-in", type="REQUEST", authorizerUri=self.authorizer_uri(), **cookie
        )
        rest.put_method(**page, authorizationType="CUSTOM", authorizerId=made["id"])
        rest.put_integration(**page, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
        rest.put_method_response(**page, statusCode="200")
        rest.put_integration_response(**page, statusCode="200")
        rest.create_deployment(restApiId=api, stageName="prod")
        return api

    def web_socket_api(self):
        """Makes a WebSocket API whose connections the authorizer guards. Returns its ID."""
        apis = self.cloud.client("apigatewayv2")
        selects = {"RouteSelectionExpression": "$request.body.action"}
        api = apis.create_api(Name=STACK, ProtocolType="WEBSOCKET", **selects)["ApiId"]
        cookie = {"IdentitySource": ["route.request.header.Cookie"]}
        made = apis.create_authorizer(
            ApiId=api, Name="logged-in", AuthorizerType="REQUEST", AuthorizerUri=self.authorizer_uri(), **cookie
        )
        target = apis.create_integration(ApiId=api, IntegrationType="MOCK")["IntegrationId"]
        guarded = {"AuthorizationType": "CUSTOM", "AuthorizerId": made["AuthorizerId"]}
        apis.create_route(ApiId=api, RouteKey="$connect", Target=f"integrations/{target}", **guarded)
        apis.create_stage(ApiId=api, StageName="prod", AutoDeploy=True)
        return api

    def status(self, api, cookie, path="/", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.cloud.port, timeout=60)
        host = {"host": f"{api}.execute-api.localhost:{self.cloud.port}"}
        connection.request("GET", f"/prod{path}", headers=host | headers | ({"cookie": cookie} if cookie else {}))
        status = connection.getresponse().status
        connection.close()
        return status

    def orders(self, cookie):
        status, _, body = self.request("GET", "/orders", cookie)
        return status, body

    def log_in(self):
        form = {"username": "alice", "password": "correct horse battery staple"}
        status, cookie, body = self.request("POST", "/login", form=form)
        assert status == 303 and cookie.startswith("__Host-session="), f"login: {status} {body}"
        return cookie


def authorizer(cloud, work, say):
    before = cloud.inventory()
    stack = Authorized(cloud, work)
    deploy = ["deploy", "--template-file", "template.json", "--resolve-s3", "--capabilities", "CAPABILITY_IAM"]
    stack.sam(*deploy, "--no-confirm-changeset")
    without = stack.orders(None)[0], stack.orders("__Host-session=forged.forged")[0]
    assert without == (401, 403), without
    cookie = stack.log_in()
    assert stack.orders(cookie) == (200, "Orders of alice"), stack.orders(cookie)
    say("an authorizer before an HTTP API: 401 without a cookie, 403 with a forged one, a function in Python for alice")

    apis = cloud.client("apigatewayv2")
    names = {"ApiId": stack.resource("Api"), "AuthorizerId": stack.resource("LoggedIn")}
    for version in ("1.0", "2.0"):
        simple = version == "2.0"
        apis.update_authorizer(**names, AuthorizerPayloadFormatVersion=version, EnableSimpleResponses=simple)
        assert stack.orders(cookie) == (200, "Orders of alice"), (version, stack.orders(cookie))
    say("the same with payload format 1.0, whose answer is a policy")

    handshake = {
        "path": "",
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    rest, web_socket = stack.rest_api(), stack.web_socket_api()
    # A REST API that does not cache asks the authorizer even about a request without a cookie.
    for visitor, expected in ((None, (403, 401)), ("__Host-session=forged.forged", (403, 403)), (cookie, (200, 101))):
        told = stack.status(rest, visitor), stack.status(web_socket, visitor, **handshake)
        assert told == expected, (visitor, told)
    say("the same before a REST API, and before the connections of a WebSocket API")

    iam, role = cloud.client("iam"), stack.resource("AuthorizerRole")
    policy = iam.get_role_policy(RoleName=role, PolicyName="sessions")["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName="sessions")
    failed = stack.orders(cookie)
    assert failed[0] == stack.status(rest, cookie) == stack.status(web_socket, cookie, **handshake) == 500, failed
    iam.put_role_policy(RoleName=role, PolicyName="sessions", PolicyDocument=json.dumps(policy))
    assert stack.orders(cookie)[0] == 200
    say("without the table's policy it is 500, which says neither yes nor no")

    left = stack.request("POST", "/logout", cookie, form={"": ""})
    assert left[0] == 303, left
    told = stack.orders(cookie)[0], stack.status(rest, cookie), stack.status(web_socket, cookie, **handshake)
    assert told == (403, 403, 403), f"a copy of the cookie passes after the logout: {told}"
    cloud.client("apigateway").delete_rest_api(restApiId=rest)
    apis.delete_api(ApiId=web_socket)
    stack.sam("delete", "--no-prompts")
    assert cloud.inventory() == before, cloud.inventory() - before
    say("a copy of the cookie is 403 at once after the logout; sam delete left nothing")
