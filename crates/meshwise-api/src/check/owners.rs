//! Whether each provided API is this service's to provide.

use super::Findings;
use crate::{
    declaration::Release, diagnostic::Diagnostic, dictionary::Dictionary, document::Document,
    finding::Finding,
};

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

/// Tells whether another service provides a version of an API with the consent of the one that
/// published it, and ends it no sooner than that one promised: what is handed over is not gone.
pub(super) fn is_handed_over(
    dictionary: Option<&Dictionary>,
    published: &Document,
    api: &str,
    version: &str,
) -> bool {
    let shared = published.declaration().provided(api).map_or(&[][..], |it| &it.shared_with);
    let promised = published.promised_sunset(api, version);
    let keeps = |release: &Release| match (release.sunset, promised) {
        (None, _) => true,
        // An end that was never published is news, and judged where it is published.
        (Some(_), None) => false,
        (Some(sunset), Some(promised)) => sunset >= promised,
    };
    let mut providers = dictionary.into_iter().flat_map(|dictionary| dictionary.providers(api));
    providers.any(|(document, provides)| {
        shared.iter().any(|name| name == document.service())
            && provides.version(version).is_some_and(keeps)
    })
}
