//! Lists: a part at a time, by an opaque token.

use sidekey_protocol::encoding::{array_from_base64url, base64url};
use sidekey_protocol::pairing::registry::{self, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};

use super::problem::{Code, FieldFault, Problem};
use crate::store::{Page, Paged};

/// The page that `page_size` and `page_token` ask for.
pub(crate) fn page(size: Option<u32>, token: Option<&str>) -> Result<Page, Problem> {
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
