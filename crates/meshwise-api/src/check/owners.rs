//! Whether each provided API is this service's to provide.

use super::Findings;
use crate::{diagnostic::Diagnostic, document::Document, finding::Finding};

pub(super) fn check(findings: &mut Findings<'_>, published: Option<&Document>) {
    let Some(dictionary) = findings.check.dictionary else { return };
    let declaration = findings.declaration();
    let own = declaration.service.name.as_str();
    for (index, provides) in declaration.provides.iter().enumerate() {
        let had = |document: &Document| document.declaration().provided(&provides.api).is_some();
        if published.is_some_and(had) {
            continue;
        }
        let unwilling = dictionary.providers(&provides.api).find(|(document, theirs)| {
            document.service() != own && !theirs.shared_with.iter().any(|name| name == own)
        });
        if let Some((document, _)) = unwilling {
            let service = document.service();
            let message = format!("the API {} is provided by {service}", provides.api);
            let diagnostic = Diagnostic::new(Finding::API_TAKEN, message)
                .with_note(format!("published on {}", document.published_at().date()))
                .with_help(format!(
                    "choose another name; if {service} agrees, it publishes shared-with = [\"{own}\"] \
                     with this API first"
                ));
            findings.tell(&format!("provides[{index}].api"), diagnostic);
        }
    }
}
