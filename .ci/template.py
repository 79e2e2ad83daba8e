"""What template.yaml must be, checked without AWS: `python .ci/template.py [check ...]`, all checks by default."""

import itertools
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# The SAM transform asks for a region, though it makes no call.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

import boto3
from cfnlint.api import lint
from cfnlint.config import ConfigMixIn
from cfnlint.decode import cfn_yaml
from cfnlint.runner import Runner
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
SOURCE = ROOT / "src"

# For every parameter that a condition reads: a value that turns the condition on.
EXAMPLES = {
    "ReservedConcurrency": "10",
    "MaxReadUnits": "100",
    "MaxWriteUnits": "50",
    "SecretVersion": "11111111-1111-1111-1111-111111111111",
    "PreviousSecretVersion": "22222222-2222-2222-2222-222222222222",
    "HttpApi": "yes",
    "DomainName": "app.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/33333333-3333-3333-3333-333333333333",
    "Alarms": "yes",
    "AlarmEmail": "someone@example.com",
    "Dashboard": "yes",
}


# ---- reading ----


@cache
def source():
    """template.yaml as written, with long-form intrinsic functions."""
    return json.loads(json.dumps(cfn_yaml.loads(TEMPLATE.read_text())))


@cache
def transformed():
    """template.yaml as CloudFormation sees it: after the SAM transform, run here."""
    template = json.loads(json.dumps(source()))
    # The transform wants the code where `sam package` would have put it.
    template["Resources"]["SessionFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    values = {name: parameter.get("Default", "") for name, parameter in template["Parameters"].items()}
    translator = Translator({}, Parser(), boto_session=boto3.session.Session())
    result = translator.translate(template, values)
    result.pop("Transform", None)
    return json.loads(json.dumps(result))


def resources(kind, template=None):
    found = (template or transformed())["Resources"]
    return {name: body for name, body in found.items() if body["Type"] == kind}


def only(kind):
    found = list(resources(kind).values())
    assert len(found) == 1, f"{len(found)} resources of type {kind}, expected one"
    return found[0]["Properties"]


def rust(pattern):
    """Every match of `pattern` in src/."""
    text = "\n".join(path.read_text() for path in sorted(SOURCE.rglob("*.rs")))
    return set(re.findall(pattern, text))


def same(what, in_template, in_code):
    assert in_code, f"found no {what} in src/"
    assert in_template == in_code, (
        f"{what} differ: only in template.yaml {sorted(in_template - in_code)}, only in src/ {sorted(in_code - in_template)}"
    )


def as_list(value):
    return value if isinstance(value, list) else [value]


# ---- checks ----


def the_function_url_is_public():
    """Both permissions are there: without the second, the URL answers 403."""
    permissions = [body["Properties"] for body in resources("AWS::Lambda::Permission").values()]
    for_anyone = [p for p in permissions if p["Principal"] == "*"]
    assert any(p["Action"] == "lambda:InvokeFunctionUrl" and p.get("FunctionUrlAuthType") == "NONE" for p in for_anyone), (
        "nobody may call lambda:InvokeFunctionUrl"
    )
    assert any(p["Action"] == "lambda:InvokeFunction" and p.get("InvokedViaFunctionUrl") is True for p in for_anyone), (
        "nobody may call lambda:InvokeFunction through the URL"
    )
    assert len(for_anyone) == 2, "a permission for everybody besides those of the URL"
    assert only("AWS::Lambda::Url")["AuthType"] == "NONE"
    assert not resources("AWS::Lambda::Alias") and not resources("AWS::Lambda::Version"), "the URL must serve $LATEST"


def the_policy_allows_what_the_code_does():
    """No wildcard, no managed policy, and exactly the item actions called in src/."""
    allowed = set()
    role = only("AWS::IAM::Role")
    assert not role.get("ManagedPolicyArns"), "a managed policy, and with it its wildcards"
    statements = [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]
    for statement in statements:
        actions = as_list(statement["Action"])
        assert not any("*" in action for action in actions), f"wildcard action: {actions}"
        for resource in as_list(statement["Resource"]):
            assert isinstance(resource, dict) and "Fn::GetAtt" in resource, f"not the ARN of a resource here: {resource}"
        if any(action.startswith("dynamodb:") for action in actions):
            assert statement["Resource"] == {"Fn::GetAtt": ["SessionsTable", "Arn"]}, "item actions on another table"
            allowed |= set(actions)
    calls = rust(
        r"\.((?:batch_get|get|put|update|delete|batch_write|transact_get|transact_write)_items?|query|scan|execute_\w+)\(\)"
    )
    same("DynamoDB actions", allowed, {"dynamodb:" + "".join(map(str.capitalize, call.split("_"))) for call in calls})


def the_table_is_keyed_and_expired_by_what_the_code_writes():
    table = only("AWS::DynamoDB::Table")
    ttl = table["TimeToLiveSpecification"]
    assert ttl["Enabled"] is True
    same("TTL attribute", {ttl["AttributeName"]}, rust(r'const TTL_ATTRIBUTE: &str = "(\w+)"'))
    same("key", {key["AttributeName"] for key in table["KeySchema"]}, rust(r'const PARTITION_KEY: &str = "(\w+)"'))


def the_environment_is_what_the_code_reads():
    declared = set(only("AWS::Lambda::Function")["Environment"]["Variables"])
    config = (SOURCE / "config.rs").read_text().split("#[cfg(test)]")[0]
    # AWS_* are set by Lambda, and only by Lambda.
    read = {name for name in re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"', config) if not name.startswith("AWS_")}
    same("environment variables", declared, read)
    local = json.loads((ROOT / "local-env.json").read_text())["SessionFunction"]
    assert set(local) <= declared, f"`sam local` ignores undeclared variables: {sorted(set(local) - declared)}"


def the_metrics_are_what_the_code_writes():
    """Alarms and dashboard show what exists, and everything that exists."""
    shown = {
        body["Properties"]["MetricName"]
        for body in resources("AWS::CloudWatch::Alarm").values()
        if body["Properties"]["Namespace"] == "lambda-session"
    }
    body = only("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Sub"]
    for widget in json.loads(body)["widgets"]:
        namespace = name = None
        for metric in widget["properties"]["metrics"]:
            if metric[0] != "...":
                namespace = metric[0] if metric[0] != "." else namespace
                name = metric[1] if metric[1] != "." else name
            if namespace == "lambda-session":
                shown.add(name)
    writers = [text for text in map(Path.read_text, SOURCE.rglob("*.rs")) if "CloudWatchMetrics" in text]
    code = "\n".join(text.split("#[cfg(test)]")[0] for text in writers)
    written = set(re.findall(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"', code))
    # The format's own words, the units and the dimension.
    written -= {"CloudWatchMetrics", "Timestamp", "Namespace", "Dimensions", "Metrics", "Name", "Unit"}
    # And serde's word for how it names them.
    written -= {"Count", "Milliseconds", "FunctionName", "PascalCase"}
    same("metrics", shown, written)


def nothing_has_a_name_of_its_own():
    """A second stack, or the same one deployed again, must not clash."""
    named = {"FunctionName", "TableName", "LogGroupName", "RoleName", "TopicName", "AlarmName", "DashboardName"}
    for name, body in source()["Resources"].items():
        properties = body["Properties"]
        mine = named & set(properties) if body["Type"] != "AWS::Lambda::Permission" else set()
        if body["Type"] in ("AWS::SecretsManager::Secret", "AWS::Serverless::HttpApi"):
            mine |= {"Name"} & set(properties)
        assert not mine, f"{name} is named by {sorted(mine)}"


def what_is_kept_says_how_it_goes():
    for kind in ("AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup"):
        for name, body in resources(kind).items():
            for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
                assert policy in body, f"{name} has no {policy}"


def every_combination_of_conditions_is_clean():
    """cfn-lint over the transformed template, once for each that the parameters can make."""
    variants = combinations()
    with multiprocessing.Pool() as pool:
        for values, findings in zip(variants.values(), pool.map(findings_of, variants)):
            assert not findings, f"with {values}:\n" + "\n".join(findings)
    print(f"    {len(variants)} combinations")


def checkov_finds_nothing_unjustified():
    """Over the transformed template. What a resource skips, it skips with a reason, and because there is something to skip."""
    template = json.loads(json.dumps(transformed()))
    skips = {
        name: body["Metadata"]["checkov"]["skip"]
        for name, body in source()["Resources"].items()
        if "checkov" in body.get("Metadata", {})
    }
    # Skips of a function hold for what SAM makes of it: SessionFunction -> SessionFunctionUrl.
    for made, body in template["Resources"].items():
        body["Metadata"] = {"checkov": {"skip": [skip for name in skips if made.startswith(name) for skip in skips[name]]}}
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
    for name, skip in ((name, skip) for name in skips for skip in skips[name]):
        assert skip.get("comment"), f"{name} skips {skip['id']} without a reason"
        assert any(made.startswith(name) and id == skip["id"] for made, id in used), f"{name} skips {skip['id']} for nothing"
    print(f"    {len(results['passed_checks'])} passed, {len(used)} justified")


# ---- combinations of conditions ----


def combinations():
    """The transformed template with its conditions decided, in every way the parameters allow: text -> parameter values."""
    template = transformed()
    decisive = sorted(references(template["Conditions"]) & set(template["Parameters"]))
    assert set(decisive) == set(EXAMPLES), f"EXAMPLES is not about the parameters in Conditions: {decisive}"
    found = {}
    for chosen in itertools.product((False, True), repeat=len(decisive)):
        values = {
            name: EXAMPLES[name] if on else template["Parameters"][name]["Default"] for name, on in zip(decisive, chosen)
        }
        if all(allows(rule, values) for rule in template.get("Rules", {}).values()):
            text = json.dumps(decided(template, values), sort_keys=True)
            found.setdefault(text, {name: value for name, value in values.items() if value == EXAMPLES[name]})
    return found


def references(node):
    if isinstance(node, dict):
        own = {node["Ref"]} if isinstance(node.get("Ref"), str) else set()
        if "Fn::Sub" in node:
            text = node["Fn::Sub"][0] if isinstance(node["Fn::Sub"], list) else node["Fn::Sub"]
            own |= set(re.findall(r"\$\{(\w+)\}", text))
        return own.union(*map(references, node.values()))
    if isinstance(node, list):
        return set().union(*map(references, node))
    return set()


def holds(condition, values, conditions):
    ((operator, arguments),) = condition.items()
    match operator:
        case "Fn::Equals":
            left, right = (values[a["Ref"]] if isinstance(a, dict) else a for a in arguments)
            return left == right
        case "Fn::Not":
            return not holds(arguments[0], values, conditions)
        case "Fn::And":
            return all(holds(argument, values, conditions) for argument in arguments)
        case "Fn::Or":
            return any(holds(argument, values, conditions) for argument in arguments)
        case "Condition":
            return holds(conditions[arguments], values, conditions)
    raise AssertionError(f"unknown condition {operator}")


def allows(rule, values):
    if "RuleCondition" in rule and not holds(rule["RuleCondition"], values, {}):
        return True
    return all(holds(assertion["Assert"], values, {}) for assertion in rule["Assertions"])


def decided(template, values):
    conditions = template["Conditions"]
    nothing = object()

    def walk(node):
        if isinstance(node, list):
            return [item for item in map(walk, node) if item is not nothing]
        if not isinstance(node, dict):
            return node
        if node == {"Ref": "AWS::NoValue"}:
            return nothing
        if "Fn::If" in node:
            name, yes, no = node["Fn::If"]
            return walk(yes if holds(conditions[name], values, conditions) else no)
        kept = {key: walk(value) for key, value in node.items()}
        return {key: value for key, value in kept.items() if value is not nothing}

    result = {key: value for key, value in template.items() if key not in ("Conditions", "Rules", "Metadata")}
    for section in ("Resources", "Outputs"):
        result[section] = {
            name: walk({key: value for key, value in body.items() if key not in ("Condition", "Metadata")})
            for name, body in template[section].items()
            if "Condition" not in body or holds(conditions[body["Condition"]], values, conditions)
        }
    used = references([result["Resources"], result["Outputs"]])
    result["Parameters"] = {
        name: {**parameter, "Default": values.get(name, parameter.get("Default"))}
        for name, parameter in template["Parameters"].items()
        if name in used
    }
    return result


@cache
def lint_rules():
    return Runner(ConfigMixIn()).rules


def findings_of(text):
    return [str(match) for match in lint(text, lint_rules())]


CHECKS = [
    the_function_url_is_public,
    the_policy_allows_what_the_code_does,
    the_table_is_keyed_and_expired_by_what_the_code_writes,
    the_environment_is_what_the_code_reads,
    the_metrics_are_what_the_code_writes,
    nothing_has_a_name_of_its_own,
    what_is_kept_says_how_it_goes,
    checkov_finds_nothing_unjustified,
    every_combination_of_conditions_is_clean,
]


def main():
    wanted = sys.argv[1:]
    failures = 0
    for check in CHECKS:
        if wanted and check.__name__ not in wanted:
            continue
        try:
            check()
            print(f"  ok    {check.__name__}")
        except Exception as error:
            failures += 1
            print(f"  FAIL  {check.__name__}\n{type(error).__name__}: {error}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
