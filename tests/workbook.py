"""Excel workbooks for tests, without a library that writes them."""

import string
import zipfile
from xml.sax.saxutils import escape


def write_workbook(path, sheets):
    """Write the smallest workbook that holds some rows: cells are numbers, texts or None."""
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"

    def cell(place, value):
        if value is None:
            return f'<c r="{place}"/>'
        if isinstance(value, str):
            kept = f'<t xml:space="preserve">{escape(value)}</t>'
            return f'<c r="{place}" t="inlineStr"><is>{kept}</is></c>'
        return f'<c r="{place}"><v>{value}</v></c>'

    def sheet(rows):
        lines = "".join(
            f'<row r="{y}">'
            + "".join(cell(f"{string.ascii_uppercase[x]}{y}", v) for x, v in enumerate(row))
            + "</row>"
            for y, row in enumerate(rows, 1)
        )
        return f'{head}<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'

    numbered = list(enumerate(sheets, 1))
    with zipfile.ZipFile(path, "w") as book:
        parts = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="application/'
            'vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
            for n, _ in numbered
        )
        book.writestr(
            "[Content_Types].xml",
            f'{head}<Types xmlns="{package}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
            'PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-'
            f'officedocument.spreadsheetml.sheet.main+xml"/>{parts}</Types>',
        )
        book.writestr(
            "_rels/.rels",
            f'{head}<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
            f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        listed = "".join(f'<sheet name="{s}" sheetId="{n}" r:id="rId{n}"/>' for n, s in numbered)
        book.writestr(
            "xl/workbook.xml",
            f'{head}<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{listed}</sheets>'
            "</workbook>",
        )
        relations = "".join(
            f'<Relationship Id="rId{n}" Type="{office}/worksheet" '
            f'Target="worksheets/sheet{n}.xml"/>'
            for n, _ in numbered
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'{head}<Relationships xmlns="{package}/relationships">{relations}</Relationships>',
        )
        for n, name in numbered:
            book.writestr(f"xl/worksheets/sheet{n}.xml", sheet(sheets[name]))
