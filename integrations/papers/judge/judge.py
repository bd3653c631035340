"""Judges papers: each XML by its schema and by the official rules of EN 16931 (Schematron), each PDF by QPDF and by what PDF/A-3 and
Factur-X want it to say of itself. Prints what is wrong, and `N passed, N failed`."""

import sys
from importlib import resources
from pathlib import Path

import facturx
import pikepdf
from lxml import etree
from saxonche import PySaxonProcessor

RULES = Path(str(resources.files("facturx"))) / "xsd_and_schematron"
CII_RULES = next((RULES / "facturx-en16931").rglob("*EN16931*.xslt"))
UBL_RULES = RULES / "ubl-2.1" / "EN16931-UBL-validation.xslt"
SVRL = "{http://purl.oclc.org/dsdl/svrl}"
FX = "{urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#}"


def rules(saxon: PySaxonProcessor, path: Path):
    processor = saxon.new_xslt30_processor()
    return processor.compile_stylesheet(stylesheet_file=str(path))


def broken_rules(sheet, saxon: PySaxonProcessor, xml: bytes) -> list[str]:
    report = sheet.transform_to_string(xdm_node=saxon.parse_xml(xml_text=xml.decode()))
    failed = etree.fromstring(report.encode()).iter(f"{SVRL}failed-assert", f"{SVRL}successful-report")
    return [" ".join("".join(one.itertext()).split()) for one in failed if one.get("flag") != "warning"]


def schema_errors(xml: bytes, flavor: str) -> list[str]:
    try:
        facturx.xml_check_xsd(xml, flavor=flavor)
        return []
    except Exception as error:
        return [str(error)]


def pdf_errors(path: Path, is_invoice: bool) -> list[str]:
    errors = []
    with pikepdf.open(path) as pdf:
        errors += [str(problem) for problem in pdf.check_pdf_syntax()]
        with pdf.open_metadata() as metadata:
            if metadata.pdfa_status != "3B":
                errors.append(f"is PDF/A {metadata.pdfa_status!r}")
            if is_invoice and metadata.get(f"{FX}ConformanceLevel") != "EN 16931":
                errors.append("does not say that it is Factur-X EN 16931")
        if "/ID" not in pdf.trailer:
            errors.append("has no identifier")
        if is_invoice:
            attached = pdf.attachments.get("factur-x.xml")
            xml = path.with_suffix(".cii.xml").read_bytes()
            if attached is None or attached.get_file().read_bytes() != xml:
                errors.append("does not hold its XML as factur-x.xml")
            if not [f for f in pdf.Root.AF if f.AFRelationship == "/Alternative"]:
                errors.append("does not say that its XML is the same invoice")
    return errors


def main() -> int:
    folder = Path(sys.argv[1])
    passed = failed = 0
    with PySaxonProcessor(license=False) as saxon:
        cii, ubl = rules(saxon, CII_RULES), rules(saxon, UBL_RULES)
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            if path.name.endswith(".cii.xml"):
                errors = schema_errors(data, "factur-x") + broken_rules(cii, saxon, data)
            elif path.name.endswith(".ubl.xml"):
                errors = schema_errors(data, "ubl-2.1") + broken_rules(ubl, saxon, data)
            else:
                errors = pdf_errors(path, path.with_suffix(".cii.xml").exists())
            for error in errors:
                print(f"{path.name}: {error}")
            passed, failed = passed + (not errors), failed + bool(errors)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
