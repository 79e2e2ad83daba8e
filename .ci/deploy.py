"""Deploys to an emulated AWS with the commands of README and docs/: `python .ci/deploy.py`. The variable MINISTACK is
the folder of the programs that `.ci/install` installed."""

import json
import os
import re
import shutil
import string
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from cfnlint.decode import cfn_yaml

from authorizer import authorizer
from cloud import Cloud, Site, Tls

ROOT = Path(__file__).resolve().parent.parent
STACK = "lambda-session"
BUILT = ROOT / ".aws-sam/build/template.yaml"


def say(done):
    print(f"  {done}", flush=True)


def commands(page, containing):
    """The only block of commands in a page that contains this text."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text(), re.S | re.M)
    blocks = [block for block in blocks if containing in block]
    assert len(blocks) == 1, f"{len(blocks)} blocks of {page} contain {containing!r}"
    return blocks[0]


def template():
    return cfn_yaml.loads((ROOT / "template.yaml").read_text())


class Deployment:
    def __init__(self, cloud, tls):
        self.cloud, self.tls = cloud, tls
        self.outputs = {}

    def type(self, commands):
        """Runs commands as a person would type them, and answers every question with yes."""
        with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
            ran = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", commands],
                cwd=ROOT,
                env=self.cloud.environment,
                stdin=yes.stdout,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        assert ran.returncode == 0, f"exit status {ran.returncode}\n{commands}\n{ran.stdout[-6000:]}"
        return ran.stdout

    def refresh_outputs(self):
        (stack,) = self.cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), stack["StackStatus"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @property
    def site(self):
        return Site(self.outputs["Url"], self.tls.server_port)

    def resource(self, name):
        detail = self.cloud.client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=name)
        return detail["StackResourceDetail"]["PhysicalResourceId"]

    def function(self):
        return self.cloud.client("lambda").get_function_configuration(FunctionName=self.resource("SessionFunction"))

    def deploy(self):
        deploy = commands("docs/deploy.md", "sam build\n")
        assert deploy == commands("README.md", "sam build\n")
        self.type(deploy)
        printed = self.type(commands("docs/deploy.md", "sam list stack-outputs"))
        listed, _ = json.JSONDecoder().raw_decode(printed[printed.index("[") :])
        shown = {output["OutputKey"] for output in listed}
        self.refresh_outputs()
        assert shown == set(self.outputs) == {"Url", "TableName", "SecretArn", "LogGroup"}, shown
        assert re.fullmatch(r"https://[a-z0-9]{32}\.lambda-url\.us-east-1\.on\.aws/", self.outputs["Url"]), self.outputs
        # MiniStack: its GenerateSecretString ignores ExcludePunctuation, and the function refuses to start with a key
        # that has a comma.
        letters = string.ascii_letters + string.digits
        key = "".join(letters[byte % len(letters)] for byte in os.urandom(64))
        put = self.cloud.client("secretsmanager").put_secret_value(SecretId=self.outputs["SecretArn"], SecretString=key)
        self.type(f"sam deploy --parameter-overrides SecretVersion={put['VersionId']}")
        say(f"sam build, sam deploy: {self.outputs['Url']}")

    def walk(self):
        environment = os.environ | {
            "APP_URL": self.outputs["Url"],
            "APP_ADDRESS": f"127.0.0.1:{self.tls.server_port}",
            "REQUIRE_BROWSER": "1",
        }
        tests = ["browser::a_visitor", "browser::a_mistake", "browser::another_origin"]
        subprocess.run([".ci/tests", "--test", "it", "--", *tests], cwd=ROOT, env=environment, check=True)
        say("a browser at that URL: login, mistakes, another origin, logout")

    def records(self):
        return self.cloud.client("dynamodb").scan(TableName=self.outputs["TableName"])["Items"]

    def look_inside(self):
        before = int(time.time())
        cookie = self.site.login("tablecheck")
        (record,) = [record for record in self.records() if "tablecheck" in json.dumps(record)]
        identifier = cookie.split("=")[1].split(".")[0]
        assert identifier not in json.dumps(record), "the ID itself is in the table"
        # MiniStack: it creates tables without TTL, so the attribute's name is taken from the template.
        ttl = template()["Resources"]["SessionsTable"]["Properties"]["TimeToLiveSpecification"]
        assert ttl["Enabled"] is True, ttl
        expires = int(record[ttl["AttributeName"]]["N"])
        idle = template()["Parameters"]["SessionIdleTimeout"]["Default"]
        assert before + idle <= expires <= time.time() + idle, f"expires {expires}, now {time.time()}"
        ended = [record for record in self.records() if record.get("ended")]
        assert ended, "no tombstone of the browser's logouts"
        say(f"{len(self.records())} records, {len(ended)} of them ended; each expires by {ttl['AttributeName']}")

        events = self.cloud.client("logs").filter_log_events(logGroupName=self.outputs["LogGroup"])["events"]
        lines = [json.loads(event["message"]) for event in events if event["message"].startswith("{")]
        events_of = [line.get("event") for line in lines]
        counts = {name: events_of.count(name) for name in ("request", "login", "logout", "refused")}
        assert all(counts.values()), f"{counts} in {len(events)} lines"
        assert not [line for line in lines if line["level"] != "INFO"], lines
        assert identifier not in json.dumps(lines) and "tablecheck" not in json.dumps(lines), "a visitor is in the log"
        printed = self.type(commands("docs/operating.md", "sam logs"))
        assert '"event": "login"' in printed, printed[-3000:]
        say(f"the log: {counts}")

    def rotate(self):
        old = self.site.login("early")
        key = self.function()["Environment"]["Variables"]["SECRET_KEY"]
        with self.site.logged_in("early", old) as views:
            self.type(commands("docs/rotation.md", "put-secret-value"))
        variables = self.function()["Environment"]["Variables"]
        assert variables["SECRET_KEY"] != key and variables["SECRET_KEY_FALLBACKS"] == key, "the keys have not changed places"
        say(f"two deployments rotated the key; logged in all the time, {len(views)} views")
        new = self.site.login("late")
        with self.site.logged_in("late", new) as views:
            self.type(commands("docs/rotation.md", 'OtherSecretVersion=""'))
        assert self.site.who(new) == "late" and self.site.who(old) is None, "the old key still counts"
        say(f"another dropped the old key: cookies of the new one count ({len(views)} views), those of the old one do not")

    def remove_the_url(self):
        cookie, url = self.site.login("kept"), self.site
        (command,) = commands("docs/domains.md", "FunctionUrl=no").splitlines()
        # MiniStack: it finds no change where only conditions change, so the memory's size changes, too.
        self.type(f"{command} MemorySize=512")
        self.refresh_outputs()
        assert "Url" not in self.outputs and "ApiUrl" in self.outputs, self.outputs
        status, _, body = url.request("GET", "/", cookie)
        assert status in (403, 404) and "Logged in" not in body, f"the URL still answers: {status} {body}"
        self.type("sam deploy --parameter-overrides HttpApi=no FunctionUrl=yes MemorySize=256")
        self.refresh_outputs()
        assert self.site.who(cookie) == "kept"
        say(f"FunctionUrl=no: the URL answers {status}; with a URL again, the visitor is still logged in")

    def switch_everything_on(self):
        chosen = {
            "MemorySize": "512",
            "ReservedConcurrency": "20",
            "LogLevel": "DEBUG",
            "LogRetentionDays": "7",
            "SystemLogs": "no",
            "SessionIdleTimeout": "900",
            "SessionLifetime": "7200",
            "SealedSessions": "yes",
            "BoundSessions": "yes",
            "MaxReadUnits": "2000",
            "MaxWriteUnits": "1000",
            "FunctionUrl": "yes",
            "InvokeMode": "BUFFERED",
            "HttpApiRate": "500",
            "Alarms": "yes",
            "AlarmEmail": "someone@example.com",
            "Dashboard": "yes",
            "Tracing": "yes",
            "HstsSubdomains": "yes",
        }
        certificate = self.cloud.client("acm").request_certificate(DomainName="app.example.com")["CertificateArn"]
        (command,) = commands("docs/domains.md", "CertificateArn=").splitlines()
        command = command.replace("arn:aws:acm:…", certificate) + "".join(f" {name}={value}" for name, value in chosen.items())
        # The architecture was chosen by the build, and the rotation has set the other two.
        missing = set(template()["Parameters"]) - set(re.findall(r"(\w+)=", command))
        assert missing == {"Architecture", "SecretVersion", "OtherSecretVersion"}, f"not switched on: {missing}"
        plain = self.site.login("unsealed")
        with self.site.logged_in("unsealed", plain) as views, alarms_without_arithmetic():
            self.type(command)
        self.refresh_outputs()
        # MiniStack: the HTTP API lacks the routes of its definition, and the table lacks the caps. `.ci/sam-local`
        # sends requests through an API.
        assert {"ApiUrl", "DomainTarget", "DashboardUrl"} <= set(self.outputs), self.outputs
        made = self.cloud.inventory()
        kinds = [kind for kind, _ in made]
        counted = {kind: kinds.count(kind) for kind in ("alarm", "dashboard", "topic", "API", "domain")}
        assert counted == {"alarm": 4, "dashboard": 1, "topic": 1, "API": 1, "domain": 1}, counted
        filters = self.cloud.client("logs").describe_metric_filters(logGroupName=self.outputs["LogGroup"])
        filters = filters["metricFilters"]
        assert len(filters) == 5, filters
        logging = self.function()["LoggingConfig"]
        assert (logging["SystemLogLevel"], logging["ApplicationLogLevel"]) == ("WARN", "DEBUG"), logging
        say(f"every parameter set, {len(views)} views meanwhile: {counted}, {len(filters)} metric filters")

        sealed = self.site.login("sealed")
        assert self.site.who(sealed) == "sealed" and self.site.who(plain) == "unsealed"
        names = [record.get("data", {}).get("M", {}).get("username") for record in self.records()]
        assert {"S": "unsealed"} in names and {"S": "sealed"} not in names, names
        say("a sealed session beside an unsealed one")

    def take_the_tables_policy(self):
        """Shows that MiniStack enforces IAM. Otherwise the other checks would not show that the policy suffices."""
        cookie = self.site.login("kept")
        iam, role = self.cloud.client("iam"), self.resource("SessionRole")
        policy = iam.get_role_policy(RoleName=role, PolicyName="sessions")["PolicyDocument"]
        iam.delete_role_policy(RoleName=role, PolicyName="sessions")
        status, set_cookie, body = self.site.request("POST", "/login", form={"username": "nobody"})
        assert status in (500, 503) and not set_cookie, f"{status} {set_cookie} {body}"
        view, set_cookie, _ = self.site.request("GET", "/", cookie)
        assert view in (500, 503) and not set_cookie, f"{view} {set_cookie}"
        assert self.site.who(None) is None, "a page that needs no table"
        iam.put_role_policy(RoleName=role, PolicyName="sessions", PolicyDocument=json.dumps(policy))
        assert self.site.who(cookie) == "kept"
        say(f"without the table's policy a login is {status} and a view {view}; with it again, still logged in")

    def delete(self, before):
        made = self.cloud.inventory() - before
        assert len({kind for kind, _ in made}) == 11, made
        self.type(commands("docs/deploy.md", "sam delete"))
        left = self.cloud.inventory() - before
        assert not left, f"left behind: {left}"
        say(f"sam delete: removed all {len(made)} resources")


@contextmanager
def alarms_without_arithmetic():
    """MiniStack: it refuses alarms on metric math. Meanwhile each such alarm in the output of `sam build` is replaced by
    one on the failures alone."""
    built = BUILT.read_text()
    template = cfn_yaml.loads(built)
    for resource in template["Resources"].values():
        queries = resource.get("Properties", {}).get("Metrics")
        if resource["Type"] == "AWS::CloudWatch::Alarm" and queries:
            (failures,) = [query["MetricStat"] for query in queries if query["Id"] == "failures"]
            del resource["Properties"]["Metrics"]
            resource["Properties"] |= failures["Metric"] | {"Statistic": failures["Stat"], "Period": failures["Period"]}
    BUILT.write_text(json.dumps(template))
    try:
        yield
    finally:
        BUILT.write_text(built)


def main():
    work = Path(tempfile.mkdtemp())
    cloud = Cloud(work)
    try:
        before = cloud.inventory()
        deployment = Deployment(cloud, Tls(work, cloud.port))
        deployment.deploy()
        deployment.walk()
        deployment.look_inside()
        deployment.rotate()
        deployment.remove_the_url()
        deployment.switch_everything_on()
        deployment.take_the_tables_policy()
        deployment.delete(before)
        authorizer(cloud, work, say)
    except BaseException:
        print(cloud.log.read_text()[-6000:], file=sys.stderr)
        raise
    finally:
        cloud.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
