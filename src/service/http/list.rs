//! Lists: a part at a time, by an opaque token.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use sidekey_protocol::encoding::{array_from_base64url, base64url};
use sidekey_protocol::pairing::registry::{self, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, Paging};

use super::extract;
use super::problem::{Code, FieldFault, Problem};
use crate::store::{Page, Paged};

/// What a list is asked for: which part of it, and of what.
#[derive(Debug)]
pub(crate) struct Listed<F> {
    pub(crate) page: Page,
    pub(crate) filter: F,
}

impl<F: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Listed<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = parts.uri.query().unwrap_or_default().split('&');
        let is_paging = |pair: &&str| pair.starts_with("page_size=") || pair.starts_with("page_token=");
        let (paging, filter): (Vec<_>, Vec<_>) = pairs.partition(is_paging);
        let filter = extract::query(&filter.join("&"))?;
        let paging: Paging = extract::query(&paging.join("&"))?;
        Ok(Self { page: page(paging.page_size, paging.page_token.as_deref())?, filter })
    }
}

/// The page that `page_size` and `page_token` ask for.
fn page(size: Option<u32>, token: Option<&str>) -> Result<Page, Problem> {
    let size = size.unwrap_or(PAGE_SIZE_DEFAULT);
    if !(1..=PAGE_SIZE_MAX).contains(&size) {
        return Err(Problem::field(Code::QueryInvalid, "page_size", FieldFault::Invalid));
    }
    let place = token.map(array_from_base64url).transpose();
    let place = place.map_err(|_| Problem::field(Code::QueryInvalid, "page_token", FieldFault::Invalid))?;
    Ok(Page { size: size as usize, after: place.map_or(0, u64::from_be_bytes) })
}

/// As the caller sees what the store gave, so far as he sees it.
pub(crate) fn list<T, U>(paged: Paged<U>, seen: impl FnMut(U) -> Option<T>) -> registry::Page<T> {
    let next_page_token = paged.next.map(|place| base64url(&place.to_be_bytes()));
    registry::Page { items: paged.items.into_iter().filter_map(seen).collect(), next_page_token }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_where_the_last_one_ended() {
        let first = list(Paged { items: vec![1, 2], next: Some(2) }, Some);
        let next = page(Some(2), first.next_page_token.as_deref()).unwrap();
        assert_eq!((next.size, next.after), (2, 2));
        assert_eq!(page(None, None).unwrap().size, 50);
    }

    #[test]
    fn a_page_that_cannot_be_is_refused() {
        for (size, token) in [(Some(0), None), (Some(1001), None), (None, Some("")), (None, Some("2"))] {
            assert_eq!(page(size, token).unwrap_err().code, Code::QueryInvalid);
        }
    }
}
