"""`deploy/helm`: what its values mean, by Dagster's libraries and the schemas of Kubernetes, without the chart or a cluster."""

import json

import dagster as dg
import kubernetes_validate
import pytest
import yaml
from dagster_k8s import DagsterK8sJobConfig, construct_dagster_k8s_job
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from kubernetes.client import ApiClient

from ticket_events_pipeline.settings import load_settings
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.units import DEPLOY

HELM = DEPLOY / "helm"
VALUES = yaml.safe_load((HELM / "values.yaml").read_text())
SECRETS = {
    made["metadata"]["name"]: made["stringData"] for made in yaml.safe_load_all((HELM / "secrets.example.yaml").read_text())
}
(CODE,) = VALUES["dagster-user-deployments"]["deployments"]
PROCESSES = {"code server": CODE, "webserver": VALUES["dagsterWebserver"], "daemon": VALUES["dagsterDaemon"]}
LAUNCHER = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
KUBERNETES = "1.37"
KUBECONFIG = {
    "current-context": "none",
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "clusters": [{"name": "none", "cluster": {"server": "https://192.0.2.1"}}],
    "users": [{"name": "none", "user": {}}],
}


def snake(name):
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def renamed(value):
    """A map of the chart's, with the names that dagster.yaml has for the same."""
    return {snake(name): found for name, found in value.items()}


def instance_yaml(kubeconfig):
    """dagster.yaml as the chart makes it, but for Postgres, and for the cluster, which a file names."""
    daemon, concurrency = VALUES["dagsterDaemon"], VALUES["concurrency"]
    run_config = LAUNCHER["runK8sConfig"]
    launcher = {
        "load_incluster_config": False,
        "kubeconfig_file": str(kubeconfig),
        "instance_config_map": "dagster-instance",
        "dagster_home": "/opt/dagster/dagster_home",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
        "service_account_name": "dagster",
        "job_image": "{repository}:{tag}".format(**CODE["image"]),
        "image_pull_policy": LAUNCHER["imagePullPolicy"],
        "env_secrets": [secret["name"] for secret in LAUNCHER["envSecrets"]],
        "run_k8s_config": {
            "container_config": run_config["containerConfig"],
            "pod_spec_config": run_config["podSpecConfig"],
            "job_spec_config": run_config["jobSpecConfig"],
        },
    }
    return {
        "run_launcher": {"module": "dagster_k8s", "class": VALUES["runLauncher"]["type"], "config": launcher},
        "run_coordinator": daemon["runCoordinator"]["config"]["customRunCoordinator"],
        "concurrency": {"runs": renamed(concurrency["runs"]), "pools": renamed(concurrency["pools"])},
        "sensors": renamed(daemon["sensors"]),
        "run_monitoring": renamed(daemon["runMonitoring"]),
        "run_retries": renamed(daemon["runRetries"]),
        "compute_logs": {
            "module": "dagster_aws.s3.compute_log_manager",
            "class": VALUES["computeLogManager"]["type"],
            "config": renamed(VALUES["computeLogManager"]["config"]["s3ComputeLogManager"]),
        },
        "telemetry": VALUES["telemetry"],
        **VALUES["additionalInstanceConfig"],
    }


@pytest.fixture
def instance(tmp_path, monkeypatch):
    for name, value in {**SECRETS["ticket-events-store"], "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    (kubeconfig := tmp_path / "kubeconfig").write_text(json.dumps(KUBECONFIG))
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance_yaml(kubeconfig)))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def test_the_values_configure_dagster_as_a_deployment_on_postgres(instance):
    """Launcher, logs, and the time in which a run has to start differ."""
    found = instance_yaml("")
    other = yaml.safe_load((DEPLOY / "postgres" / "dagster.yaml").read_text())
    for own in ("run_launcher", "compute_logs"):
        del found[own]
    del other["storage"], found["run_monitoring"]["start_timeout_seconds"], other["run_monitoring"]["start_timeout_seconds"]
    assert found == other
    assert instance.get_concurrency_config().pool_config.default_pool_limit == 2
    assert instance.run_launcher.supports_check_run_worker_health


def test_a_run_is_a_job_that_kubernetes_accepts(instance):
    launcher = instance.run_launcher
    config = DagsterK8sJobConfig(
        job_image=launcher.job_image,
        dagster_home="/opt/dagster/dagster_home",
        instance_config_map="dagster-instance",
        postgres_password_secret=VALUES["global"]["postgresqlSecretName"],
    )
    given = UserDefinedDagsterK8sConfig(**launcher.run_k8s_config)
    job = construct_dagster_k8s_job(config, ["dagster", "api", "execute_run"], "dagster-run-1", user_defined_k8s_config=given)
    manifest = ApiClient().sanitize_for_serialization(job)
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    pod = manifest["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["containers"][0]["resources"] == LAUNCHER["runK8sConfig"]["containerConfig"]["resources"]


@pytest.mark.parametrize("process", PROCESSES)
def test_what_the_values_say_of_a_pod_is_what_kubernetes_accepts(process):
    values = PROCESSES[process]
    container = {
        "name": "process",
        "image": "{repository}:{tag}".format(**values["image"]),
        "imagePullPolicy": values["image"]["pullPolicy"],
        "env": [{"name": name, "value": value} for name, value in values["env"].items()],
        "envFrom": [{"secretRef": secret} for secret in values["envSecrets"]],
        "resources": values["resources"],
        "securityContext": values["securityContext"],
    }
    for name in ("livenessProbe", "startupProbe"):
        if name in values:
            times = {key: value for key, value in values[name].items() if key != "enabled"}
            container[name] = {"exec": {"command": ["dagster", "api", "grpc-health-check", "-p", "4000"]}, **times}
    pod = {"securityContext": values["podSecurityContext"], "containers": [container]}
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": pod}, KUBERNETES, strict=True
    )


def test_the_secrets_have_the_names_that_the_values_read():
    read = {secret["name"] for values in (*PROCESSES.values(), LAUNCHER) for secret in values["envSecrets"]}
    assert read | {VALUES["global"]["postgresqlSecretName"]} == set(SECRETS)
    account = {name for name, text in SECRETS.items() if any(key.startswith("ZENDESK_") for key in text)}
    assert [name for name, values in PROCESSES.items() if account & {secret["name"] for secret in values["envSecrets"]}] == [
        "code server"
    ]


def test_the_code_server_s_variables_are_an_account_s():
    settings = load_settings({**CODE["env"], **SECRETS["ticket-events-account"]})
    assert (settings.account, settings.root, str(settings.start_date)) == ("acme", "s3://BUCKET/events", "2025-01-01")


def test_the_readme_says_that_it_never_ran():
    assert "never ran in a cluster" in (CHECKOUT / "deploy" / "helm" / "README.md").read_text()
