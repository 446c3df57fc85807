"""The manifests of k8s/: against KubeRay's schema, against each other, and against memgrid's settings."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster.security import check_bind
from cluster.settings import Settings, load_settings
from memgrid.errors import InvalidInput

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
CRDS = os.environ.get("MEMGRID_TEST_CRDS")


def kustomization() -> dict[str, Any]:
    return yaml.safe_load((K8S / "kustomization.yaml").read_text(encoding="utf-8"))


def resources() -> list[str]:
    return kustomization()["resources"]


def manifests() -> dict[str, dict[str, Any]]:
    """What `kubectl apply -k` sends, by kind."""
    every = [
        yaml.safe_load((K8S / name).read_text(encoding="utf-8")) for name in kustomization()["resources"]
    ]
    by_kind = {each["kind"]: each for each in every}
    assert len(by_kind) == len(every)
    return by_kind


@pytest.fixture
def applied() -> dict[str, dict[str, Any]]:
    return manifests()


@pytest.fixture
def pod(applied: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return applied["RayService"]["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]


@pytest.fixture
def settings(applied: dict[str, dict[str, Any]], tmp_path: Path) -> Settings:
    """As a process in the pod would load them."""
    nothing = tmp_path / "config.yaml"
    nothing.touch()
    return load_settings(nothing, env_file=None, environ=applied["ConfigMap"]["data"])


def serve_config(applied: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return yaml.safe_load(applied["RayService"]["spec"]["serveConfigV2"])


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = pod["spec"]
    return {each["name"]: each for each in [*spec["initContainers"], *spec["containers"]]}


def test_every_manifest_is_applied() -> None:
    assert set(resources()) == {path.name for path in K8S.glob("*.yaml")} - {"kustomization.yaml"}


def strict(schema: Any) -> Any:
    """A CRD's schema with what the API server would prune made an error."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items()}
    open_ended = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict) and not open_ended:
        made["additionalProperties"] = False
    return made


@pytest.fixture(scope="module")
def ray_service_schema() -> dict[str, Any]:
    if CRDS is None:
        pytest.skip("MEMGRID_TEST_CRDS names no folder with KubeRay's custom resource definitions")
    text = (Path(CRDS) / "ray.io_rayservices.yaml").read_text(encoding="utf-8")
    definition = yaml.load(text, yaml.CSafeLoader)
    found = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
    return strict(found[0]["schema"]["openAPIV3Schema"])


def test_ray_service_is_what_kuberay_knows(
    applied: dict[str, dict[str, Any]], ray_service_schema: dict[str, Any]
) -> None:
    jsonschema.Draft202012Validator(ray_service_schema).validate(applied["RayService"])


def test_the_schema_would_refuse_a_field_that_is_not_there(
    applied: dict[str, dict[str, Any]], ray_service_schema: dict[str, Any]
) -> None:
    service = applied["RayService"]
    spec = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
    spec["containers"][0]["livenessProb"] = spec["containers"][0].pop("livenessProbe")
    with pytest.raises(jsonschema.ValidationError, match="livenessProb"):
        jsonschema.Draft202012Validator(ray_service_schema).validate(service)


# Ray Serve warns about itself while it is imported.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_serve_config_is_what_serve_knows(applied: dict[str, dict[str, Any]]) -> None:
    schema = importlib.import_module("ray.serve.schema").ServeDeploySchema
    config = schema.model_validate(serve_config(applied))
    assert [each.name for each in config.applications] == ["memgrid"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_import_path_leads_to_the_builder(applied: dict[str, dict[str, Any]]) -> None:
    application = serve_config(applied)["applications"][0]
    module, _, name = application["import_path"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert application["args"].keys() <= Settings.model_fields.keys()


def test_everyone_means_the_same_port(
    applied: dict[str, dict[str, Any]], pod: dict[str, Any], settings: Settings
) -> None:
    container = containers(pod)["ray-head"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    # KubeRay asks the Serve proxy on the port that is called `serve`.
    assert ports["serve"] == settings.port == Settings.model_fields["port"].default
    assert serve_config(applied)["http_options"]["port"] == settings.port
    assert container["livenessProbe"]["httpGet"] == {"path": "/health/ready", "port": "serve"}
    (service,) = applied["Service"]["spec"]["ports"]
    assert (service["port"], service["targetPort"]) == (settings.port, "serve")
    for rule in applied["NetworkPolicy"]["spec"]["ingress"]:
        assert {"port": settings.port} in rule["ports"]


def test_ray_itself_is_open_to_the_operator_only(applied: dict[str, dict[str, Any]]) -> None:
    policy = applied["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    for rule in policy["ingress"]:
        (source,) = rule["from"]
        labels = source["podSelector"]["matchLabels"]
        if any(each["port"] != 8005 for each in rule["ports"]):
            assert labels == {"app.kubernetes.io/name": "kuberay-operator"}
        assert labels
    assert applied["RayService"]["spec"]["rayClusterConfig"]["authOptions"] == {"mode": "token"}


def test_the_pod_is_the_one_that_is_selected(applied: dict[str, dict[str, Any]], pod: dict[str, Any]) -> None:
    labels = pod["metadata"]["labels"]
    assert labels.items() >= applied["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items()
    selector = dict(applied["Service"]["spec"]["selector"])
    assert selector.pop("ray.io/node-type") == "head"  # this and the next are KubeRay's labels
    assert selector.pop("ray.io/serve") == "true"
    assert selector
    assert labels.items() >= selector.items()


def test_nothing_is_served_before_there_is_a_key(pod: dict[str, Any], settings: Settings) -> None:
    with pytest.raises(InvalidInput):
        check_bind(settings.host, False)
    (first,) = pod["spec"]["initContainers"]
    assert "memgrid keys list" in first["args"][0]
    head = containers(pod)["ray-head"]
    # It looks at the store that will be served.
    assert first["envFrom"] == head["envFrom"]
    assert first["volumeMounts"][0] == head["volumeMounts"][0] == {"name": "data", "mountPath": "/data"}
    assert first["image"] == head["image"]


def test_readiness_does_not_wait_for_what_waits_for_it(pod: dict[str, Any]) -> None:
    # KubeRay deploys the Serve application when the head pod is ready: a probe of the application that the
    # pod's readiness depends on would never succeed.
    for container in containers(pod).values():
        assert not {"readinessProbe", "startupProbe"} & container.keys()


def test_data_is_on_the_claim_and_on_one_node(
    applied: dict[str, dict[str, Any]], pod: dict[str, Any], settings: Settings
) -> None:
    claim = applied["PersistentVolumeClaim"]
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert settings.data_dir.is_relative_to("/data")
    spec = applied["RayService"]["spec"]
    assert spec["upgradeStrategy"] == {"type": "None"}
    assert "workerGroupSpecs" not in spec["rayClusterConfig"]
    assert (settings.shard_actors, settings.ingress_replicas) == (1, 1)


def test_names_referred_to_are_there(applied: dict[str, dict[str, Any]], pod: dict[str, Any]) -> None:
    names = [each["name"] for each in pod["spec"]["volumes"]]
    for container in containers(pod).values():
        assert {mount["name"] for mount in container["volumeMounts"]} <= set(names)
        for source in container["envFrom"]:
            assert source["configMapRef"]["name"] == applied["ConfigMap"]["metadata"]["name"]
        for variable in container.get("env", ()):
            assert variable["name"].removeprefix("MEMGRID_").lower() in Settings.model_fields
            assert variable["valueFrom"]["secretKeyRef"]["optional"] is True


def test_containers_run_as_nobody_special(pod: dict[str, Any]) -> None:
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["automountServiceAccountToken"] is False
    for container in containers(pod).values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_versions_are_those_installed(applied: dict[str, dict[str, Any]], pod: dict[str, Any]) -> None:
    assert applied["RayService"]["spec"]["rayClusterConfig"]["rayVersion"] == importlib.metadata.version(
        "ray"
    )
    version = importlib.metadata.version("memgrid")
    assert {each["image"] for each in containers(pod).values()} == {f"memgrid:{version}"}
    (image,) = kustomization()["images"]
    assert (image["name"], image["newTag"]) == ("memgrid", version)


def test_the_image_is_built_from_all_that_the_wheel_holds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied: set[str] = set()
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert packages | {"pyproject.toml", "requirements.lock"} <= copied
    assert {f"!{name}" for name in copied} <= set(allowed)
    assert all((ROOT / name).exists() for name in copied)
