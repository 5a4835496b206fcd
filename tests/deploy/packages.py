"""What the tests of deploy/ ask of libraries that Rust has not: YAML, Compose, Helm, Kubernetes' own schemas.

    packages.py compose FILE              the services of a Compose file, merged, as JSON
    packages.py chart DIRECTORY [VALUES]  what Helm makes of a chart with a file of values, as JSON
    packages.py yaml FILE                 a YAML file as JSON

Each fails, with the reason on standard error, on what the library finds wrong.
"""

import json
import re
import sys

import yaml

# The oldest that the chart allows, one between, and the newest that there are schemas of.
KUBERNETES = ["1.29.0", "1.33.0", "1.37.0"]
# Kinds of the Prometheus operator: Kubernetes has no schema of them.
UNKNOWN_TO_KUBERNETES = {"ServiceMonitor", "PrometheusRule"}


def compose(path):
    import compose_spec

    with open(path) as file:
        project = yaml.safe_load(file)
    merged = {key: value for key, value in project.items() if not key.startswith("x-")}
    # The library takes a digest or a tag; Docker takes both, and goes by the digest.
    checked = json.loads(re.sub(r'("image": "[^"@:]+):[^"@]+@', r"\1@", json.dumps(merged)))
    compose_spec.PyCompose.from_json(json.dumps(checked)).validate()
    return merged


def chart(path, values_path=None):
    import helm_python
    import kubernetes_validate

    values = {}
    if values_path:
        with open(values_path) as file:
            values = yaml.safe_load(file)
    linted = helm_python.lint(path, values=values, kube_version=KUBERNETES[1])
    # 1 is a remark: that there is no icon.
    found = [message for message in linted["messages"] if message["severity"] > 1]
    if found or linted["errors"]:
        raise ValueError(f"lint: {found} {linted['errors']}")
    objects = []
    with helm_python.Chart.load(path) as loaded:
        loaded.validate_schema(values)
        for name, text in loaded.render(values, name="cw", namespace="fraud").items():
            if name.endswith(".yaml"):
                objects += [made for made in yaml.safe_load_all(text) if made]
    for made in objects:
        if made["kind"] not in UNKNOWN_TO_KUBERNETES:
            for version in KUBERNETES:
                kubernetes_validate.validate(made, version, strict=True)
    return objects


def main(what, *paths):
    if what == "compose":
        return compose(*paths)
    if what == "chart":
        return chart(*paths)
    with open(paths[0]) as file:
        return yaml.safe_load(file)


if __name__ == "__main__":
    try:
        print(json.dumps(main(*sys.argv[1:])))
    except Exception as error:
        # The whole story of a library's insides helps nobody here.
        sys.exit(f"{type(error).__name__}: {error}")
