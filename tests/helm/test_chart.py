#!/usr/bin/env python3
"""Renders and lints the chart with Helm's own engine and checks what the rendered objects promise.

Run with target/tools/venv/bin/python (scripts/setup test makes it). Prints one line per check and
`N passed, N failed` at the end; exits 1 when one failed.
"""

import copy
import sys
import traceback
from pathlib import Path

import yaml
from helm_python.chart import Chart, lint
from helm_python.errors import HelmError

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm"
EXAMPLE = yaml.safe_load((CHART / "values.example.yaml").read_text(encoding="utf-8"))
SECRET_ROLES = {
    "serve": {"intake", "query", "watch"},
    "work": {"work", "watch"},
    "migrate": {"owner"},
}


def changed(path, value):
    """The example's values with `value` at the dotted `path`; `...` removes the key."""
    values = copy.deepcopy(EXAMPLE)
    place = values
    *parents, last = path.split(".")
    for part in parents:
        place = place.setdefault(part, {})
    if value is ...:
        place.pop(last, None)
    else:
        place[last] = value
    return values


def render(values=EXAMPLE):
    """Every rendered object."""
    with Chart.load(CHART) as chart:
        files = chart.render(values=values, name="prod", namespace="hocba", is_install=True)
    return [
        document
        for name, text in files.items()
        if not name.endswith("NOTES.txt")
        for document in yaml.safe_load_all(text)
        if document
    ]


def refused(values, *mention):
    """Whether the chart refuses `values`, naming every word of `mention`."""
    try:
        with Chart.load(CHART) as chart:
            chart.validate_schema(values)
            chart.render(values=values, name="prod", namespace="hocba")
    except HelmError as error:
        for word in mention:
            assert word in str(error), f"refused without naming {word!r}: {error}"
        return True
    return False


class Release:
    """The rendered objects of one set of values, found by kind and name."""

    def __init__(self, values=EXAMPLE):
        self.objects = render(values)

    def of(self, kind):
        return [o for o in self.objects if o["kind"] == kind]

    def one(self, kind, name):
        found = [o for o in self.of(kind) if o["metadata"]["name"] == f"prod-hocba{name}"]
        assert len(found) == 1, f"{kind} prod-hocba{name}: {len(found)} found"
        return found[0]

    def pods(self):
        """Component and pod specification of everything that runs."""
        for o in self.of("Deployment") + self.of("Job"):
            labels = o["spec"]["template"]["metadata"]["labels"]
            yield labels["app.kubernetes.io/component"], o["spec"]["template"]["spec"]

    def deployments(self):
        for o in self.of("Deployment"):
            yield o["spec"]["template"]["spec"]["containers"][0]["name"], o


EXAMPLE_RELEASE = Release()
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
def the_chart_is_lint_free_under_strict_rules():
    report = lint(CHART, EXAMPLE, strict=True, kube_version="v1.32.0")
    serious = [m for m in report["messages"] if m["severity"] >= 2]
    assert report["total_charts_linted"] == 1 and not serious and not report["errors"], report


@check
def three_processes_of_one_binary_are_rendered():
    pods = dict(EXAMPLE_RELEASE.pods())
    assert set(pods) == {"serve", "work", "migrate"}, set(pods)
    for component, pod in pods.items():
        args = pod["containers"][0]["args"]
        assert args == [component, "--config", "/etc/hocba/hocba.toml"], args


@check
def no_process_runs_as_root_or_gains_rights():
    for component, pod in EXAMPLE_RELEASE.pods():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, component
        assert security["runAsUser"] >= 10000 and security["runAsGroup"] >= 10000, component
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, component
        for container in pod["containers"] + pod.get("initContainers", []):
            confined = container["securityContext"]
            assert confined["allowPrivilegeEscalation"] is False, component
            assert confined["privileged"] is False, component
            assert confined["capabilities"] == {"drop": ["ALL"]}, component


@check
def the_root_file_system_is_read_only_and_only_tmp_is_writable():
    for component, pod in EXAMPLE_RELEASE.pods():
        container = pod["containers"][0]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, component
        writable = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
        assert writable == ["/tmp"], (component, writable)
        tmp = next(v for v in pod["volumes"] if v["name"] == "tmp")
        assert tmp["emptyDir"]["sizeLimit"], component


@check
def no_process_reaches_the_node_or_the_cluster():
    for component, pod in EXAMPLE_RELEASE.pods():
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            assert not pod.get(key), (component, key)
        assert all("hostPath" not in v for v in pod["volumes"]), component
        assert pod["automountServiceAccountToken"] is False, component
        assert pod["enableServiceLinks"] is False, component
    forbidden = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    assert not forbidden & {o["kind"] for o in EXAMPLE_RELEASE.objects}


@check
def each_process_has_its_own_service_account_without_a_token():
    accounts = {o["metadata"]["name"]: o for o in EXAMPLE_RELEASE.of("ServiceAccount")}
    used = {component: pod["serviceAccountName"] for component, pod in EXAMPLE_RELEASE.pods()}
    assert len(set(used.values())) == 3, used
    for name in used.values():
        assert accounts[name]["automountServiceAccountToken"] is False, name


@check
def every_secret_is_a_file_of_mode_0400_and_never_a_variable():
    for component, pod in EXAMPLE_RELEASE.pods():
        secrets = [v["secret"] for v in pod["volumes"] if "secret" in v]
        assert secrets, component
        for secret in secrets:
            assert secret["defaultMode"] == 0o400, (component, secret)
        # Secret files belong to root: without the group the process could not read them.
        assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"], component
        for variable in pod["containers"][0]["env"]:
            assert set(variable) == {"name", "value"}, variable
        assert "envFrom" not in pod["containers"][0], component
    assert not EXAMPLE_RELEASE.of("Secret"), "the chart makes no secrets of its own"


@check
def each_process_gets_only_the_database_passwords_of_its_roles():
    for component, pod in EXAMPLE_RELEASE.pods():
        volume = next(v for v in pod["volumes"] if v["name"] == "database")
        keys = {item["key"] for item in volume["secret"]["items"]}
        wanted = {f"hocba_{role}.password" for role in SECRET_ROLES[component]}
        assert keys == wanted, (component, keys)


@check
def each_key_is_with_the_one_process_that_needs_it():
    for component, pod in EXAMPLE_RELEASE.pods():
        names = {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
        assert ("hocba-seal" in names) == (component == "work"), component
        assert ("hocba-answer-seal" in names) == (component == "serve"), component
        assert ("hocba-vault" in names) == (component != "migrate"), component
        variables = {v["name"]: v["value"] for v in pod["containers"][0]["env"]}
        mounts = {m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
        for name, path in variables.items():
            if name.endswith("_FILE"):
                assert str(Path(path).parent) in mounts, f"{component}: {name} is not mounted"


@check
def every_mount_has_its_volume_and_every_volume_its_mount():
    for component, pod in EXAMPLE_RELEASE.pods():
        mounts = [m["name"] for m in pod["containers"][0]["volumeMounts"]]
        volumes = [v["name"] for v in pod["volumes"]]
        assert sorted(mounts) == sorted(volumes), (component, mounts, volumes)


@check
def further_files_are_mounted_where_they_were_asked_for():
    pods = dict(EXAMPLE_RELEASE.pods())
    paths = {c: {m["mountPath"] for m in p["containers"][0]["volumeMounts"]} for c, p in pods.items()}
    assert "/etc/hocba/anchors" in paths["serve"] and "/etc/hocba/anchors" in paths["work"]
    assert "/etc/hocba/national" in paths["work"]
    assert "/etc/hocba/national" not in paths["serve"] | paths["migrate"]


@check
def every_container_has_requests_and_limits():
    for component, pod in EXAMPLE_RELEASE.pods():
        for kind in ("requests", "limits"):
            assert set(pod["containers"][0]["resources"][kind]) >= {"cpu", "memory"}, component


@check
def the_image_is_named_by_digest():
    for component, pod in EXAMPLE_RELEASE.pods():
        repository, _, digest = pod["containers"][0]["image"].partition("@")
        assert digest == EXAMPLE["image"]["digest"] and ":" not in repository, component


@check
def a_tag_is_taken_only_where_it_is_permitted():
    tagged = changed("image", {"repository": "r.vn/hocba", "digest": "", "tag": "0.1.0"})
    assert refused(tagged, "digest")
    tagged["image"]["tagPermitted"] = True
    pod = dict(Release(tagged).pods())["serve"]
    assert pod["containers"][0]["image"] == "r.vn/hocba:0.1.0"
    tagged["image"]["tag"] = ""
    assert refused(tagged)


@check
def liveness_and_startup_never_ask_the_database_and_readiness_does():
    for component, deployment in EXAMPLE_RELEASE.deployments():
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        inside = {p["name"]: p["containerPort"] for p in container["ports"]}["inside"]
        assert inside == 9090, component
        for probe, path in (("startup", "/healthz"), ("liveness", "/healthz"), ("readiness", "/readyz")):
            request = container[f"{probe}Probe"]["httpGet"]
            assert request == {"path": path, "port": "inside"}, (component, probe)
        startup = container["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 60, component


@check
def a_stopping_pod_drains_before_it_is_killed():
    for component, deployment in EXAMPLE_RELEASE.deployments():
        pod = deployment["spec"]["template"]["spec"]
        sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert sleep >= 10, component
        assert pod["terminationGracePeriodSeconds"] >= max(60, sleep + 45), component
    assert refused(changed("preStopSleepSeconds", 60), "terminationGracePeriodSeconds")


@check
def an_update_never_takes_a_pod_away_before_its_successor_is_ready():
    for component, deployment in EXAMPLE_RELEASE.deployments():
        update = deployment["spec"]["strategy"]["rollingUpdate"]
        assert update == {"maxUnavailable": 0, "maxSurge": 1}, component
        assert deployment["spec"]["replicas"] >= 2, component
        budget = EXAMPLE_RELEASE.one("PodDisruptionBudget", f"-{component}")
        assert budget["spec"]["minAvailable"] >= 1
        assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]
        assert budget["spec"]["selector"] == deployment["spec"]["selector"]


@check
def pods_are_spread_over_zones_and_nodes():
    for component, deployment in EXAMPLE_RELEASE.deployments():
        spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        keys = {s["topologyKey"] for s in spread}
        assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}, component
        for constraint in spread:
            assert constraint["labelSelector"] == deployment["spec"]["selector"], component


@check
def a_changed_configuration_replaces_the_pods():
    def checksums(values):
        return [
            d["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for _, d in Release(values).deployments()
        ]

    before, after = checksums(EXAMPLE), checksums(changed("config", "[intake]\n"))
    assert all(a != b for a, b in zip(before, after, strict=True))


@check
def the_configuration_file_is_carried_as_it_stands():
    text = '[telemetry]\nlevel = "warn"\n\n[x]\nlist = ["{{ not a template }}"]\n'
    release = Release(changed("config", text))
    for name in ("", "-migrate"):
        carried = release.one("ConfigMap", name)["data"]["hocba.toml"]
        assert carried.strip() == text.strip(), carried


@check
def the_embedded_database_is_never_used_in_a_cluster():
    for component, pod in EXAMPLE_RELEASE.pods():
        variables = {v["name"]: v["value"] for v in pod["containers"][0]["env"]}
        assert variables["HOCBA__DATABASE__URL"].startswith("postgres://"), component
        assert variables["HOCBA__DATABASE__PASSWORDS_DIR"] == "/etc/hocba/database"


@check
def the_schema_is_migrated_before_anything_is_replaced():
    hooks = [o for o in EXAMPLE_RELEASE.objects if "helm.sh/hook" in o["metadata"].get("annotations", {})]
    kinds = {o["kind"]: o["metadata"]["annotations"] for o in hooks}
    assert set(kinds) == {"Job", "ServiceAccount", "ConfigMap", "NetworkPolicy"}, set(kinds)
    for kind, annotations in kinds.items():
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade", kind
        first = int(annotations["helm.sh/hook-weight"])
        assert kind == "Job" or first < int(kinds["Job"]["helm.sh/hook-weight"]), kind
    job = EXAMPLE_RELEASE.one("Job", "-migrate")
    pod = job["spec"]["template"]["spec"]
    # What the job needs must be a hook too: the release's own objects come after it.
    needed = {pod["serviceAccountName"]} | {
        v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v
    }
    assert needed == {"prod-hocba-migrate"}, needed
    assert pod["restartPolicy"] == "Never" and job["spec"]["activeDeadlineSeconds"] > 0


@check
def nothing_enters_or_leaves_by_default():
    deny = EXAMPLE_RELEASE.one("NetworkPolicy", "-deny")["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert not deny.get("ingress") and not deny.get("egress")
    selected = deny["podSelector"]["matchLabels"].items()
    for o in EXAMPLE_RELEASE.of("Deployment") + EXAMPLE_RELEASE.of("Job"):
        labels = o["spec"]["template"]["metadata"]["labels"]
        assert selected <= labels.items(), o["metadata"]["name"]
    for policy in EXAMPLE_RELEASE.of("NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"], policy["metadata"]["name"]


def flows(policy, direction):
    """Port to peers of one direction of a network policy."""
    rules = EXAMPLE_RELEASE.one("NetworkPolicy", policy)["spec"].get(direction) or []
    side = "from" if direction == "ingress" else "to"
    for rule in rules:
        assert rule.get(side), f"{policy}: a rule without peers permits everybody: {rule}"
        assert rule.get("ports"), f"{policy}: a rule without ports permits every port: {rule}"
    return {port["port"]: rule[side] for rule in rules for port in rule["ports"]}


@check
def each_process_reaches_and_is_reached_by_what_it_needs_only():
    network = EXAMPLE["networkPolicy"]
    serve_in, work_in = flows("-serve", "ingress"), flows("-work", "ingress")
    assert set(serve_in) == {8443, 8444, 8445, 9090}, serve_in
    assert serve_in[8443] == network["machinesFrom"] and serve_in[8444] == network["personsFrom"]
    assert serve_in[8445] == network["publicFrom"] and serve_in[9090] == network["monitoringFrom"]
    assert set(work_in) == {9090}, work_in
    assert flows("-migrate", "ingress") == {}
    assert set(flows("-serve", "egress")) == {53, 5432}
    assert set(flows("-work", "egress")) == {53, 5432, 443}
    assert flows("-work", "egress")[443] == network["destinationsTo"]
    assert set(flows("-migrate", "egress")) == {53, 5432}


@check
def without_monitoring_nobody_reaches_the_port_inside():
    release = Release(changed("networkPolicy.monitoringFrom", ...))
    ports = [
        port["port"]
        for policy in release.of("NetworkPolicy")
        for rule in policy["spec"].get("ingress") or []
        for port in rule["ports"]
    ]
    assert sorted(ports) == [8443, 8444, 8445], ports


@check
def services_open_the_three_listeners_and_keep_the_port_inside_in():
    for listener in ("machines", "persons", "public"):
        service = EXAMPLE_RELEASE.one("Service", f"-{listener}")["spec"]
        assert [p["targetPort"] for p in service["ports"]] == [listener]
        container = dict(EXAMPLE_RELEASE.pods())["serve"]["containers"][0]
        assert listener in {p["name"] for p in container["ports"]}
    for component in ("serve", "work"):
        service = EXAMPLE_RELEASE.one("Service", f"-{component}-inside")["spec"]
        assert service["type"] == "ClusterIP" and service["clusterIP"] == "None"
    balanced = Release(changed("listeners.machines", {
        "tlsSecret": "t", "service": {"type": "LoadBalancer", "annotations": {"a": "b"}}}))
    service = balanced.one("Service", "-machines")
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    assert service["metadata"]["annotations"] == {"a": "b"}


@check
def monitor_and_autoscaler_are_off_until_asked_for():
    kinds = {o["kind"] for o in EXAMPLE_RELEASE.objects}
    assert not kinds & {"ServiceMonitor", "HorizontalPodAutoscaler"}
    release = Release(changed("serviceMonitor", {"enabled": True}))
    monitor = release.of("ServiceMonitor")[0]["spec"]
    assert monitor["endpoints"][0]["path"] == "/metrics"
    chosen = monitor["selector"]["matchLabels"].items()
    served = [s for s in release.of("Service") if chosen <= s["metadata"]["labels"].items()]
    assert len(served) == 2, served
    scaled = Release(changed("serve.autoscaling", {"enabled": True}))
    assert "replicas" not in scaled.one("Deployment", "-serve")["spec"]
    assert scaled.of("HorizontalPodAutoscaler")[0]["spec"]["minReplicas"] >= 2


@check
def names_stay_valid_for_a_long_release_name():
    with Chart.load(CHART) as chart:
        files = chart.render(values=EXAMPLE, name="a" * 53, namespace="hocba")
    for name, text in files.items():
        if not name.endswith("NOTES.txt"):
            for document in filter(None, yaml.safe_load_all(text)):
                assert len(document["metadata"]["name"]) <= 63, document["metadata"]["name"]


@check
def the_defaults_alone_are_refused_because_they_leave_the_site_open():
    for word in ("digest", "repository", "url", "machinesFrom", "databaseTo", "destinationsTo"):
        assert refused({}, word), word


WRONG = [
    ("image.digest", "latest"),
    ("image.digest", "sha256:abc"),
    ("image.repository", ""),
    ("image.pullPolicy", "Sometimes"),
    ("database.url", ""),
    ("database.url", "postgres://hocba:geheim@db:5432/hocba"),
    ("database.url", "mysql://db/hocba"),
    ("database.password", "geheim"),
    ("vault.keysSecret", ""),
    ("seal.keyFile", "../seal.key"),
    ("user", 0),
    ("user", 1000),
    ("group", 9999),
    ("preStopSleepSeconds", 5),
    ("terminationGracePeriodSeconds", 30),
    ("serve.replicas", 1),
    ("serve.replicas", "2"),
    ("work.minAvailable", 0),
    ("work.resources", {"limits": None}),
    ("work.minAvailable", 2),
    ("work.resources", {"requests": {"cpu": "much", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}),
    ("serve.hostNetwork", True),
    ("networkPolicy.machinesFrom", []),
    ("networkPolicy.machinesFrom", [{}]),
    ("networkPolicy.databaseTo", []),
    ("networkPolicy.destinationsTo", []),
    ("networkPolicy.destinationPorts", [0]),
    ("networkPolicy.enabled", False),
    ("listeners.machines.service", {"type": "NodePort"}),
    ("files", [{"name": "x", "mountPath": "/etc/passwd", "secret": "s", "in": ["work"]}]),
    ("files", [{"name": "x", "mountPath": "/etc/hocba/x", "in": ["work"]}]),
    ("files", [{"name": "x", "mountPath": "/etc/hocba/x", "secret": "s", "in": ["migrate"]}]),
    ("spread.zones", "Perhaps"),
    ("telemetry.otlpEndpoint", "collector"),
    ("unknownKey", 1),
]


def wrong_value_check(path, value):
    def run():
        assert refused(changed(path, value), path.split(".")[-1]), "was accepted"

    run.__name__ = f"the_schema_refuses {path} = {value!r}"
    return run


CHECKS.extend(wrong_value_check(path, value) for path, value in WRONG)


def main():
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function()
        except Exception:  # every failure is shown, and the next check still runs
            failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc(file=sys.stdout)
        else:
            print(f"ok      {name}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
