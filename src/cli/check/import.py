"""Imports the implementations of a catalogue and compares their signatures with it.

Reads what the worker reads of a catalogue from standard input and prints a JSON list of findings.
"""

import importlib
import inspect
import json
import os
import sys


def main():
    catalogue = json.load(sys.stdin)
    sys.path[:0] = catalogue["path"] + [sys.argv[1]]
    findings = []
    # What modules print while they are imported must not get between the findings.
    own_output = os.dup(1)
    os.dup2(2, 1)
    for name, command in catalogue["commands"].items():
        findings.extend(check(name, command, command["implementation"], True))
        if command.get("simulate"):
            findings.extend(check(name, command, command["simulate"], False))
    sys.stdout.flush()
    os.write(own_output, (json.dumps(findings) + "\n").encode())


def check(name, command, target, strict):
    def finding(code, message, hint=None, parameter=None, severity="error"):
        return {"command": name, "parameter": parameter, "severity": severity, "code": code, "message": message,
                "hint": hint}

    module_name, _, function_name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except BaseException as error:  # A module may raise anything, also SystemExit.
        return [finding("import_failed", "%s: the module %s cannot be imported: %s: %s"
                        % (name, module_name, type(error).__name__, error))]
    function = module
    for part in function_name.split("."):
        function = getattr(function, part, None)
    if function is None:
        names = [other for other in dir(module) if callable(getattr(module, other)) and not other.startswith("_")]
        return [finding("no_function", "%s: there is no %s in the module %s" % (name, function_name, module_name),
                        "functions in it: " + ", ".join(names[:20]) if names else None)]
    if not callable(function):
        return [finding("no_function", "%s: %s is not a function" % (name, target))]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return [finding("no_signature", "%s: the parameters of %s cannot be told" % (name, target),
                        severity="note")]
    return list(compare(name, command, target, signature, finding)) if strict else []


def compare(name, command, target, signature, finding):
    described = command["parameters"]
    taken = {}
    takes_any = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            takes_any = True
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            yield finding("signature_differs", "%s: %s takes %s by position only, and calls give names"
                          % (name, target, parameter.name), "remove the `/`", parameter.name)
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            taken[parameter.name] = parameter
    for other in described:
        if other not in taken and not takes_any:
            yield finding("signature_differs", "%s: %s has no parameter %s" % (name, target, other),
                          "it takes: " + (", ".join(taken) or "nothing"), other)
    for other, parameter in taken.items():
        if other in described:
            yield from compare_default(name, described[other], target, parameter, finding)
        elif parameter.default is parameter.empty:
            yield finding("signature_differs", "%s: %s requires %s, which the catalogue does not have"
                          % (name, target, other), None, other)
        else:
            yield finding("signature_differs", "%s: %s takes %s, which the catalogue does not have"
                          % (name, target, other), None, other, "warning")
    shared = [other for other in described if other in taken]
    if shared != [other for other in taken if other in described]:
        yield finding("order_differs", "%s: the catalogue has the parameters in another order than %s"
                      % (name, target), "in Python: " + ", ".join(taken), None, "warning")


def compare_default(name, described, target, parameter, finding):
    has_default = parameter.default is not parameter.empty
    if "default" in described:
        if has_default and parameter.default != described["default"]:
            yield finding("default_differs", "%s: the default of %s is %r in the catalogue and %r in %s"
                          % (name, parameter.name, described["default"], parameter.default, target),
                          "make the two agree", parameter.name)
    elif described.get("optional"):
        if not has_default:
            yield finding("default_differs", "%s: %s may be left out, and %s requires it"
                          % (name, parameter.name, target), "write `%s=None`" % parameter.name, parameter.name)
    elif has_default:
        yield finding("default_differs", "%s: %s is required, and has the default %r in %s"
                      % (name, parameter.name, parameter.default, target),
                      "add `default` to the catalogue, or remove it in Python", parameter.name, "warning")


main()
