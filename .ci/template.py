"""Checks of template.yaml that cfn-lint, the SAM transform and the tests do not make: `python .ci/template.py`."""

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# The SAM transform needs a region, although it makes no call.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

import boto3
from cfnlint.decode import cfn_yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

ROOT = Path(__file__).resolve().parent.parent
ALWAYS = {"Fn::And": []}


@cache
def source():
    """template.yaml as written, with long-form intrinsic functions."""
    return json.loads(json.dumps(cfn_yaml.loads((ROOT / "template.yaml").read_text())))


@cache
def transformed():
    """template.yaml as CloudFormation sees it: after the SAM transform, run here."""
    template = json.loads(json.dumps(source()))
    # The transform expects the code in S3, where `sam package` would put it.
    template["Resources"]["SessionFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    translator = Translator({}, Parser(), boto_session=boto3.session.Session())
    result = translator.translate(template, parameters())
    return json.loads(json.dumps(result))


def parameters(**values):
    """The parameters' defaults, except for `values`."""
    return {name: parameter["Default"] for name, parameter in source()["Parameters"].items()} | values


def resources(kind):
    return {name: body for name, body in transformed()["Resources"].items() if body["Type"] == kind}


def only(kind):
    (body,) = resources(kind).values()
    return body["Properties"]


def holds(condition, values):
    """Whether a condition, given by its name or in full, is true for parameters of these values."""
    if isinstance(condition, str):
        condition = source()["Conditions"][condition]
    ((operator, operands),) = condition.items()
    match operator:
        case "Condition":
            return holds(operands, values)
        case "Fn::Equals":
            left, right = (values[operand["Ref"]] if isinstance(operand, dict) else operand for operand in operands)
            return left == right
        case "Fn::Not":
            return not holds(operands[0], values)
        case "Fn::And":
            return all(holds(operand, values) for operand in operands)
        case "Fn::Or":
            return any(holds(operand, values) for operand in operands)
    raise AssertionError(f"unknown operator {operator}")


def the_function_url_is_public():
    """The URL would answer 403 if one of the two permissions were missing."""
    for_anyone = [body["Properties"] for body in resources("AWS::Lambda::Permission").values()]
    for_anyone = [permission for permission in for_anyone if permission["Principal"] == "*"]
    granted = {(p["Action"], p.get("FunctionUrlAuthType"), p.get("InvokedViaFunctionUrl")) for p in for_anyone}
    expected = {("lambda:InvokeFunctionUrl", "NONE", None), ("lambda:InvokeFunction", None, True)}
    assert granted == expected, f"anyone may {granted}"
    assert only("AWS::Lambda::Url")["AuthType"] == "NONE"
    url = [*resources("AWS::Lambda::Url").values()]
    url += [body for body in resources("AWS::Lambda::Permission").values() if body["Properties"]["Principal"] == "*"]
    assert [body.get("Condition") for body in url] == ["HasFunctionUrl"] * 3, "FunctionUrl=no leaves something of the URL"
    assert not resources("AWS::Lambda::Alias") and not resources("AWS::Lambda::Version"), "the URL must serve $LATEST"


def the_policy_allows_what_the_code_calls():
    """The policy has no wildcards, no managed policies, and no resources of other stacks."""
    role = only("AWS::IAM::Role")
    assert not role.get("ManagedPolicyArns"), "a managed policy, and with it its wildcards"
    allowed = set()
    for statement in (s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]):
        actions = set(statement["Action"])
        assert not any("*" in action for action in actions), f"wildcard in {actions}"
        assert "Fn::GetAtt" in statement["Resource"], f"not a resource of this template: {statement['Resource']}"
        allowed |= {action for action in actions if action.startswith("dynamodb:")}
    # Nothing else calls the SDK, and elsewhere there is `uri.query()`.
    code = "\n".join(path.read_text() for path in (ROOT / "session/src/store").rglob("*.rs"))
    item = r"(?:(?:batch|transact)_)?(?:get|put|update|delete|write)_items?"
    calls = re.findall(rf"\.({item}|query|scan|execute_\w+|describe_\w+)\(\)", code)
    called = {"dynamodb:" + "".join(map(str.capitalize, call.split("_"))) for call in calls}
    assert allowed == called, f"the policy allows {sorted(allowed)}, the code calls {sorted(called)}"


def nothing_has_a_name_of_its_own():
    """With fixed names, a second stack, or the same stack deployed again, would fail."""
    for name, body in source()["Resources"].items():
        # The name of an inline policy has to be unique only within its role.
        own = {"Name", body["Type"].split("::")[-1] + "Name"} & set(body["Properties"]) - {"PolicyName"}
        assert not own, f"{name} is named by {own}"


def the_rules_refuse_what_would_be_ignored():
    """cfn-lint does not evaluate the template's rules."""
    domain = {"DomainName": "app.example.com", "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}
    for accepted, chosen in (
        (True, {}),
        (True, {"MaxReadUnits": "9", "MaxWriteUnits": "9"}),
        (False, {"MaxReadUnits": "9"}),
        (False, {"MaxWriteUnits": "9"}),
        (True, {"HttpApi": "yes", **domain}),
        (False, domain),
        (False, {"HttpApi": "yes", "DomainName": "app.example.com"}),
        (True, {"InvokeMode": "RESPONSE_STREAM"}),
        (False, {"InvokeMode": "RESPONSE_STREAM", "HttpApi": "yes"}),
        (False, {"InvokeMode": "RESPONSE_STREAM", "FunctionUrl": "no"}),
        (True, {"Alarms": "yes", "AlarmEmail": "someone@example.com", "LogLevel": "ERROR"}),
        (False, {"AlarmEmail": "someone@example.com"}),
        (False, {"Alarms": "yes", "LogLevel": "FATAL"}),
    ):
        values = parameters(**chosen)
        rules = [rule for rule in source()["Rules"].values() if holds(rule.get("RuleCondition", ALWAYS), values)]
        fulfilled = all(holds(assertion["Assert"], values) for rule in rules for assertion in rule["Assertions"])
        assert fulfilled == accepted, f"{chosen} is {'accepted' if fulfilled else 'refused'}"


def the_url_streams_where_it_is_asked_to():
    assert only("AWS::Lambda::Url")["InvokeMode"] == {"Ref": "InvokeMode"}


def what_is_counted_is_shown_and_no_more():
    """Each combination of Alarms and Dashboard counts exactly the metrics that it shows, because AWS bills metrics."""
    namespace = "${AWS::StackName}/sessions"
    for alarms, dashboard in itertools.product(("yes", "no"), repeat=2):
        values = parameters(Alarms=alarms, Dashboard=dashboard)
        there = [body for body in transformed()["Resources"].values() if holds(body.get("Condition", ALWAYS), values)]
        counted, shown = set(), set()
        for kind, properties in ((body["Type"], body.get("Properties", {})) for body in there):
            if kind == "AWS::Logs::MetricFilter":
                (metric,) = properties["MetricTransformations"]
                assert metric["MetricNamespace"] == {"Fn::Sub": namespace}, metric
                counted.add(metric["MetricName"])
            elif kind == "AWS::CloudWatch::Alarm":
                metrics = [query["MetricStat"]["Metric"] for query in properties.get("Metrics", []) if "MetricStat" in query]
                shown |= {m["MetricName"] for m in metrics if m["Namespace"] == {"Fn::Sub": namespace}}
            elif kind == "AWS::CloudWatch::Dashboard":
                for widget in json.loads(properties["DashboardBody"]["Fn::Sub"])["widgets"]:
                    rows = [[metric[0], metric[1]] for metric in widget["properties"]["metrics"]]
                    for before, row in itertools.pairwise(rows):
                        row[0] = before[0] if row[0] in (".", "...") else row[0]
                    shown |= {name for space, name in rows if space == namespace}
        assert counted == shown, f"Alarms={alarms} Dashboard={dashboard}: counted {counted}, shown {shown}"


def checkov_finds_nothing_unjustified():
    """Checks the transformed template. Each skipped check has a reason, and would fail if it were not skipped."""
    template = json.loads(json.dumps(transformed()))
    metadata = {name: body.get("Metadata", {}) for name, body in source()["Resources"].items()}
    skips = [(name, skip) for name, data in metadata.items() for skip in data.get("checkov", {}).get("skip", [])]
    # The skips of a function apply to the resources that SAM makes for it, such as SessionFunctionUrl for
    # SessionFunction.
    for made, body in template["Resources"].items():
        body["Metadata"] = {"checkov": {"skip": [skip for name, skip in skips if made.startswith(name)]}}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(template, file)
        file.flush()
        command = [os.environ.get("CHECKOV", "checkov"), "--framework", "cloudformation", "--skip-download", "-o", "json"]
        run = subprocess.run([*command, "-f", file.name], capture_output=True, text=True)
    report = json.loads(run.stdout)
    results = report["results"]
    assert report["summary"]["parsing_errors"] == 0 and results["passed_checks"], f"checkov checked nothing: {run.stderr}"
    failed = [f"{check['check_id']} {check['resource']}: {check['check_name']}" for check in results["failed_checks"]]
    assert not failed, "\n".join(failed)
    used = {(check["resource"].split(".")[1], check["check_id"]) for check in results["skipped_checks"]}
    for name, skip in skips:
        assert skip.get("comment"), f"{name} skips {skip['id']} without a reason"
        assert any(made.startswith(name) and id == skip["id"] for made, id in used), f"{name} skips {skip['id']} for nothing"


def main():
    failed = False
    for check in (
        the_function_url_is_public,
        the_policy_allows_what_the_code_calls,
        nothing_has_a_name_of_its_own,
        the_rules_refuse_what_would_be_ignored,
        the_url_streams_where_it_is_asked_to,
        what_is_counted_is_shown_and_no_more,
        checkov_finds_nothing_unjustified,
    ):
        try:
            check()
            print(f"  ok    {check.__name__}")
        except Exception as error:
            failed = True
            print(f"  FAIL  {check.__name__}\n{type(error).__name__}: {error}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
