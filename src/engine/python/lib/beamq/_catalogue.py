"""From the catalogue that the server writes to functions that check their arguments."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import types

import beamq

from . import _arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

FILE_NAME = "catalogue.json"
# The module in which scripts find the functions.
MODULE = "beamq.commands"
TYPES = {"number": float, "integer": int, "string": str, "boolean": bool, "array": list, "object": dict}
ADVICE = (
    "the commands of the instrument come from a script server's catalogue: run the script with "
    "`beamq submit`, or call beamq.commands.load(path) with a catalogue.json"
)


class NoCatalogue(ImportError):
    """There is no catalogue to take commands from."""


class Catalogue:
    """A catalogue that was read: its version, the folders of its code, and its commands by name."""

    def __init__(self, path: str) -> None:
        file = os.path.join(path, FILE_NAME) if os.path.isdir(path) else path
        try:
            with open(file, encoding="utf-8") as opened:
                content = json.load(opened)
            self.specs: Dict[str, Any] = dict(content["commands"])
            self.folders: List[str] = [str(folder) for folder in content.get("path", ())]
            self.version: Optional[str] = content.get("version")
        except OSError as error:
            raise NoCatalogue("%s cannot be read: %s; %s" % (file, error.strerror or error, ADVICE)) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NoCatalogue("%s is no catalogue: %s: %s" % (file, type(error).__name__, error)) from None
        self.functions = {name: function_of(name, spec) for name, spec in self.specs.items()}

    def nearest(self, name: str) -> Optional[str]:
        """The command that was probably meant."""
        return _arguments.nearest(name, self.specs)


def function_of(name: str, spec: Dict[str, Any]) -> Callable[..., Any]:
    """The function of a command, with the name, the signature and the documentation of the command."""
    parameters = spec.get("parameters") or {}
    call = _Call(name, spec, parameters)

    def command(*given, **named):  # type: ignore[no-untyped-def]
        return call(given, named)

    # Tracebacks and the display of a polling wait show the name of the code.
    function = types.FunctionType(
        command.__code__.replace(co_name=name), globals(), name, None, command.__closure__
    )
    function.__qualname__ = name
    function.__module__ = MODULE
    function.__doc__ = _documentation(spec, parameters)
    function.__signature__ = call.signature  # type: ignore[attr-defined]
    function.__annotations__ = {
        parameter.name: parameter.annotation for parameter in call.signature.parameters.values()
    }
    return function


class _Call:
    """Checks and makes the calls of one command."""

    def __init__(self, name: str, spec: Dict[str, Any], parameters: Dict[str, Any]) -> None:
        self.name = name
        self.spec = spec
        self.parameters = parameters
        own = [_parameter(key, one, parameters) for key, one in parameters.items()]
        self.signature = inspect.Signature(sorted(own, key=lambda parameter: parameter.kind))
        self._implementation: Optional[Callable[..., Any]] = None

    def __call__(self, given: Any, named: Dict[str, Any]) -> Any:
        server = beamq._server
        try:
            arguments = self._checked(given, named)
        except beamq.CommandArgumentError as error:
            if server is not None:
                server.refuse_command(error)
            raise
        if self.spec.get("deprecated"):
            import warnings

            warnings.warn("%s is deprecated: %s" % (self.name, self.spec["deprecated"]), DeprecationWarning, 3)
        implementation = self._implementation
        if implementation is None:
            implementation = self._implementation = self._find()
        # What is optional and was left out is left to the implementation's own default.
        passed = {key: value for key, value in arguments.items() if not self._left_out(key, value)}
        if server is None:
            return implementation(**passed)
        return server.run_command(self.name, implementation, passed)

    def _left_out(self, key: str, value: Any) -> bool:
        return value is None and "default" not in self.parameters[key]

    def _checked(self, given: Any, named: Dict[str, Any]) -> Dict[str, Any]:
        for key in named:
            if key not in self.parameters:
                near = _arguments.nearest(key, self.parameters)
                raise self._type_error(
                    key, named[key], "%s has no parameter %s" % (self.name, key),
                    ", ".join(self.parameters) or "no parameters",
                    "did you mean %s?" % near if near else None,
                )
        by_place = inspect.Parameter.POSITIONAL_OR_KEYWORD
        names = [one.name for one in self.signature.parameters.values() if one.kind == by_place]
        if len(given) > len(names):
            raise self._type_error(
                None, None, "%s takes at most %d arguments, and %d were given" % (self.name, len(names), len(given)),
                ", ".join(names) or "no parameters", None,
            )
        arguments = dict(zip(names, given))
        for key, value in named.items():
            if key in arguments:
                raise self._type_error(key, value, "%s: %s is given twice" % (self.name, key), None, None)
            arguments[key] = value
        return {key: self._checked_one(key, one, arguments) for key, one in self.parameters.items()}

    def _checked_one(self, key: str, parameter: Dict[str, Any], arguments: Dict[str, Any]) -> Any:
        if key not in arguments:
            if "default" in parameter:
                return parameter["default"]
            if parameter.get("optional"):
                return None
            about = " (%s)" % parameter["description"].strip() if parameter.get("description") else ""
            raise self._type_error(
                key, None, "%s: %s is missing%s" % (self.name, key, about), _arguments.allowed(parameter), None
            )
        try:
            return _arguments.checked(parameter, arguments[key])
        except _arguments.Complaint as complaint:
            found = complaint
        kind = beamq.CommandArgumentTypeError if found.wrong_type else beamq.CommandArgumentValueError
        message = "%s: %s%s: %s" % (self.name, key, found.path, found.message)
        raise kind(message, self.name, key, arguments[key], found.allowed, found.hint)

    def _type_error(
        self, key: Optional[str], value: Any, message: str, allowed: Optional[str], hint: Optional[str]
    ) -> "beamq.CommandArgumentError":
        return beamq.CommandArgumentTypeError(message, self.name, key, value, allowed, hint)

    def _find(self) -> Callable[..., Any]:
        module_name, _, path = self.spec["implementation"].partition(":")
        found: Any = importlib.import_module(module_name)
        for part in path.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                raise ImportError(
                    "the command %s is to be %s, and %s has no %r"
                    % (self.name, self.spec["implementation"], module_name, part)
                ) from None
        return found


def _parameter(key: str, parameter: Dict[str, Any], parameters: Dict[str, Any]) -> inspect.Parameter:
    default: Any = inspect.Parameter.empty
    if "default" in parameter:
        default = parameter["default"]
    elif parameter.get("optional"):
        default = None
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = list(parameters)
    after_optional = any(
        "default" in parameters[name] or parameters[name].get("optional") for name in names[: names.index(key)]
    )
    if default is inspect.Parameter.empty and after_optional:
        # Python has no required parameter after an optional one, unless it is given by name.
        kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(key, kind, default=default, annotation=TYPES.get(parameter["type"], object))


def _documentation(spec: Dict[str, Any], parameters: Dict[str, Any]) -> str:
    parts = [spec.get("summary") or "", (spec.get("description") or "").strip()]
    lines = []
    for key, parameter in parameters.items():
        usual = ""
        if "default" in parameter:
            usual = " Default: %s." % _arguments.shown(parameter["default"])
        elif parameter.get("optional"):
            usual = " Optional."
        about = (parameter.get("description") or "").strip()
        lines.append("    %s: %s%s%s" % (key, _arguments.allowed(parameter), ". " + about if about else ".", usual))
    if spec.get("deprecated"):
        parts.append("Deprecated: %s" % spec["deprecated"])
    if lines:
        parts.append("Parameters:\n" + "\n".join(lines))
    return "\n\n".join(part for part in parts if part)
