"""The service description at `?WSDL`, for the address at which it was asked: both SOAP versions."""

from xml.sax.saxutils import quoteattr

from every8d.emulator.operations import PARAMETERS
from every8d.emulator.soap import NAMESPACE

_HEAD = f"""<?xml version="1.0" encoding="utf-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://www.w3.org/2001/XMLSchema"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/"
  xmlns:tns="{NAMESPACE}" targetNamespace="{NAMESPACE}">
"""


def wsdl(address: str, *, send_message: bool = True) -> str:
    """The WSDL whose ports are at `address`."""
    operations = {
        name: params for name, params in PARAMETERS.items() if send_message or name != "sendMessage"
    }
    parts = [
        _HEAD,
        "<wsdl:types>",
        f'<s:schema elementFormDefault="qualified" targetNamespace="{NAMESPACE}">',
    ]
    for name, params in operations.items():
        parts += [_element(name, params), _element(f"{name}Response", (f"{name}Result",))]
    parts.append("</s:schema></wsdl:types>\n")
    for name in operations:
        parts += [
            _message(f"{name}SoapIn", name),
            _message(f"{name}SoapOut", f"{name}Response"),
        ]
    parts.append('<wsdl:portType name="SMSSoap">')
    parts += [
        f'<wsdl:operation name="{name}"><wsdl:input message="tns:{name}SoapIn"/>'
        f'<wsdl:output message="tns:{name}SoapOut"/></wsdl:operation>'
        for name in operations
    ]
    parts.append("</wsdl:portType>\n")
    parts += [_binding("SMSSoap", "soap", operations), _binding("SMSSoap12", "soap12", operations)]
    parts += [
        '<wsdl:service name="SMS">',
        _port("SMSSoap", "soap", address),
        _port("SMSSoap12", "soap12", address),
        "</wsdl:service></wsdl:definitions>",
    ]
    return "".join(parts)


def _element(name: str, children: tuple[str, ...]) -> str:
    inner = "".join(
        f'<s:element minOccurs="0" maxOccurs="1" name="{child}" type="s:string"/>' for child in children
    )
    content = f"<s:complexType><s:sequence>{inner}</s:sequence></s:complexType>"
    return f'<s:element name="{name}">{content}</s:element>\n'


def _message(name: str, element: str) -> str:
    part = f'<wsdl:part name="parameters" element="tns:{element}"/>'
    return f'<wsdl:message name="{name}">{part}</wsdl:message>\n'


def _port(name: str, prefix: str, address: str) -> str:
    location = f"<{prefix}:address location={quoteattr(address)}/>"
    return f'<wsdl:port name="{name}" binding="tns:{name}">{location}</wsdl:port>'


def _binding(name: str, prefix: str, operations: dict[str, tuple[str, ...]]) -> str:
    body = f'<{prefix}:body use="literal"/>'
    inner = "".join(
        f'<wsdl:operation name="{operation}">'
        f'<{prefix}:operation soapAction="{NAMESPACE}{operation}" style="document"/>'
        f"<wsdl:input>{body}</wsdl:input><wsdl:output>{body}</wsdl:output></wsdl:operation>"
        for operation in operations
    )
    transport = f'<{prefix}:binding transport="http://schemas.xmlsoap.org/soap/http"/>'
    return f'<wsdl:binding name="{name}" type="tns:SMSSoap">{transport}{inner}</wsdl:binding>\n'
