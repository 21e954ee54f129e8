"""netlab: a YAML lab spec with verbatim Kubernetes manifests becomes a small Kubernetes network of namespaces.

One way through the code: YAML --spec--> documents --model--> cluster --plan--> desired State --diff--> operations
--kernel--> the kernel.  Imports only ever point down this list of packages (import-linter checks it):

    cli, observe, runtime, kernel, diagnose, faults, plan, oracle, model, spec, objects, names, errors
"""

__version__ = "0.1.0"
