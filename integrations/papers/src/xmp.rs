//! What a PDF says of itself, in XMP: that it is a Factur-X invoice. Typst writes no properties of others (typst#5667), so they are
//! put into the packet that it wrote, beside its own.

use lopdf::{Document, Object};

/// The properties, and the schema of them that PDF/A wants (Factur-X 1.0.07, 6.2.2).
const FACTUR_X: &str = r#"<rdf:Description rdf:about="" xmlns:fx="urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"><fx:DocumentType>INVOICE</fx:DocumentType><fx:DocumentFileName>factur-x.xml</fx:DocumentFileName><fx:Version>1.0</fx:Version><fx:ConformanceLevel>EN 16931</fx:ConformanceLevel></rdf:Description><rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/" xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#"><pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource"><pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema><pdfaSchema:namespaceURI>urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#</pdfaSchema:namespaceURI><pdfaSchema:prefix>fx</pdfaSchema:prefix><pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource"><pdfaProperty:name>DocumentFileName</pdfaProperty:name><pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category><pdfaProperty:description>The name of the embedded XML document</pdfaProperty:description></rdf:li><rdf:li rdf:parseType="Resource"><pdfaProperty:name>DocumentType</pdfaProperty:name><pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category><pdfaProperty:description>The type of the hybrid document in capital letters</pdfaProperty:description></rdf:li><rdf:li rdf:parseType="Resource"><pdfaProperty:name>Version</pdfaProperty:name><pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category><pdfaProperty:description>The version of the standard of the embedded XML document</pdfaProperty:description></rdf:li><rdf:li rdf:parseType="Resource"><pdfaProperty:name>ConformanceLevel</pdfaProperty:name><pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category><pdfaProperty:description>The conformance level of the embedded XML document</pdfaProperty:description></rdf:li></rdf:Seq></pdfaSchema:property></rdf:li></rdf:Bag></pdfaExtension:schemas></rdf:Description>"#;

/// Where the descriptions of a packet end.
const END: &str = "</rdf:RDF>";

/// The same PDF, which says besides that it is a Factur-X invoice.
///
/// # Errors
/// If the PDF cannot be read, or has no XMP packet.
pub(crate) fn says_factur_x(pdf: &[u8]) -> Result<Vec<u8>, lopdf::Error> {
    let mut document = Document::load_mem(pdf)?;
    let id = document.catalog()?.get(b"Metadata")?.as_reference()?;
    let stream = document.get_object_mut(id).and_then(Object::as_stream_mut)?;
    let packet = stream.get_plain_content()?;
    let packet = String::from_utf8_lossy(&packet).replacen(END, &format!("{FACTUR_X}{END}"), 1);
    // PDF/A wants the packet readable as it is.
    stream.dict.remove(b"Filter");
    stream.set_plain_content(packet.into_bytes());
    let mut written = Vec::with_capacity(pdf.len() + FACTUR_X.len());
    document.save_to(&mut written)?;
    Ok(written)
}
