//! Uploads, versions and places of files, given, when, then.

use super::*;
use chrono::TimeDelta;
use files_events::FolderEvent;
use kernel::spec::{Given, given, spec_time};

const MIB: u64 = 1 << 20;

fn client(n: u128) -> ClientId {
    ClientId(Uuid::from_u128(n))
}

fn upload(n: u128) -> UploadId {
    UploadId(Uuid::from_u128(n))
}

fn announced(size: u64, part_size: Option<u64>) -> Announced {
    Announced { size, content_type: "application/pdf".parse().unwrap(), sha256: Checksum::of(b"x"), part_size }
}

fn begin(size: u64, part_size: Option<u64>, folder_id: Option<FolderId>, client_id: Option<ClientId>) -> C {
    let Announced { content_type, sha256, .. } = announced(0, None);
    let name = "Plan.pdf".parse().unwrap();
    let (size, part_size) = (FileSize(size), part_size.map(PartSize));
    let (subfolder_id, project_id, upload_id) = (None, None, Some(upload(7)));
    C::BeginUpload {
        name,
        size,
        content_type,
        sha256,
        part_size,
        folder_id,
        subfolder_id,
        client_id,
        project_id,
        upload_id,
    }
}

fn created() -> E {
    let name = "Plan.pdf".parse().unwrap();
    E::Created { name, folder_id: None, subfolder_id: None, client_id: Some(client(5)), project_id: None }
}

fn begun_with(part_size: Option<u64>) -> E {
    let expires_at = spec_time() + TimeDelta::days(1);
    E::UploadBegun { upload_id: upload(7), announced: announced(12 * MIB, part_size), expires_at }
}

fn completed() -> E {
    E::UploadCompleted { upload_id: upload(7), announced: announced(12 * MIB, None), store_upload: None, etags: vec![] }
}

fn in_quarantine() -> Vec<E> {
    vec![created(), begun_with(None), completed()]
}

fn available() -> Vec<E> {
    let accepted = given::<File>(in_quarantine()).by_system().when(C::AcceptUpload { upload_id: upload(7) });
    [in_quarantine(), accepted.events().to_vec()].concat()
}

fn knowing_folder(given: Given<File>, client_id: Option<ClientId>, archived: bool) -> Given<File> {
    let mut folder = Folder::default();
    let name = "Papers".parse().unwrap();
    folder.apply(&FolderEvent::Created { name, client_id, project_id: None, template: None, subfolders: vec![] });
    if archived {
        folder.apply(&FolderEvent::Archived {});
    }
    let tree = Uuid::from_u128(9);
    given.knowing(Reference::id::<Folder>(tree), tree, folder)
}

fn tree() -> Option<FolderId> {
    Some(FolderId(Uuid::from_u128(9)))
}

#[test]
fn an_upload_lasts_a_day_and_nobody_sees_the_file_before_its_bytes_are_inspected() {
    let when = given::<File>([]).when(begin(10, None, None, Some(client(5))));
    match when.events() {
        [E::Created { client_id, .. }, E::UploadBegun { upload_id, expires_at, .. }] => {
            assert_eq!((*client_id, *upload_id), (Some(client(5)), upload(7)));
            assert_eq!(*expires_at, spec_time() + TimeDelta::days(1));
        }
        other => panic!("{other:?}"),
    }
    assert!(!when.state().is_available());
    assert!(!given::<File>(in_quarantine()).when(C::Delete {}).before().is_available());
    given::<File>(in_quarantine()).when(C::Delete {}).rejected("files.file.no_version");
}

#[test]
fn sizes_and_parts_are_those_that_the_store_takes() {
    let refused = |size, part, code: &str| {
        given::<File>([]).when(begin(size, part, None, None)).rejected(&format!("files.file.{code}"));
    };
    refused((5 << 30) + 1, None, "not_in_one_piece");
    refused(10 << 30, Some(5 * MIB), "wrong_part_size");
    for (size, part) in [(0, None), (5 << 30, None), (10 << 30, Some(100 * MIB)), (0, Some(5 * MIB))] {
        assert_eq!(given::<File>([]).when(begin(size, part, None, None)).events().len(), 2, "{size} {part:?}");
    }
    for (text, is_read) in [("0", true), ("10737418240", true), ("10737418241", false), ("-1", false), ("1.5", false)] {
        assert_eq!(kernel::read_input::<FileSize>(text).is_ok(), is_read, "{text}");
    }
    assert!(kernel::read_input::<PartSize>("5242879").is_err() && kernel::read_input::<PartSize>("5242880").is_ok());
    let three = announced(12 * MIB, Some(5 * MIB));
    assert_eq!(three.parts(), Some(3));
    assert_eq!([1, 2, 3].map(|part| three.bytes_of_part(part)), [5 * MIB, 5 * MIB, 2 * MIB]);
    assert_eq!(announced(10 * MIB, Some(5 * MIB)).parts(), Some(2));
    assert_eq!((announced(0, Some(5 * MIB)).parts(), announced(0, None).bytes_of_part(1)), (Some(1), 0));
}

#[test]
fn a_file_is_its_folders_client_s_and_never_another_s() {
    let in_folder = |of, archived| knowing_folder(given::<File>([]), of, archived);
    let when = in_folder(Some(client(5)), false).when(begin(1, None, tree(), None));
    assert!(matches!(when.events(), [E::Created { client_id, .. }, _] if *client_id == Some(client(5))));
    assert_eq!(in_folder(Some(client(5)), false).when(begin(1, None, tree(), Some(client(5)))).events().len(), 2);
    let other = in_folder(Some(client(6)), false).when(begin(1, None, tree(), Some(client(5))));
    other.rejected("files.file.folder_elsewhere");
    let nobodys = in_folder(None, false).when(begin(1, None, tree(), Some(client(5))));
    nobodys.rejected("files.file.folder_elsewhere");
    in_folder(None, true).when(begin(1, None, tree(), None)).rejected("files.file.folder_archived");
    given::<File>([]).when(begin(1, None, tree(), None)).rejected("files.file.unknown_folder");
}

#[test]
fn what_was_accepted_is_a_version_and_the_same_is_said_twice() {
    let accept = C::AcceptUpload { upload_id: upload(7) };
    let when = given::<File>(in_quarantine()).by_system().when(accept.clone());
    match when.events() {
        [E::UploadAccepted { .. }, E::VersionAdded { version_id, number: 1, client_id, .. }] => {
            assert_eq!((version_id.0, *client_id), (upload(7).0, Some(client(5))));
        }
        other => panic!("{other:?}"),
    }
    assert!(when.state().is_available());
    given::<File>(available()).by_system().when(accept).then_nothing();
    given::<File>(available()).when(C::CompleteUpload { upload_id: upload(7), etags: vec![] }).then_nothing();
}

#[test]
fn nobody_but_the_inspection_says_what_was_found() {
    given::<File>(in_quarantine()).when(C::AcceptUpload { upload_id: upload(7) }).rejected("files.file.system_only");
    let (reason, detail) = (RejectReason::WrongSize, "9 bytes".parse().unwrap());
    let reject = C::RejectUpload { upload_id: upload(7), reason, detail };
    given::<File>(in_quarantine()).when(reject.clone()).rejected("files.file.system_only");
    given::<File>(available()).by_system().when(reject.clone()).rejected("files.file.not_in_quarantine");
    let rejected = given::<File>(in_quarantine()).by_system().when(reject).events().to_vec();
    let after = || [in_quarantine(), rejected.clone()].concat();
    let complete = C::CompleteUpload { upload_id: upload(7), etags: vec![] };
    given::<File>(after()).when(complete).rejected("files.file.upload_closed");
    given::<File>(after()).when(C::Delete {}).rejected("files.file.no_version");
}

#[test]
fn an_upload_in_parts_is_completed_with_what_the_store_said_to_each() {
    let begun = || [created(), begun_with(Some(5 * MIB))];
    let complete = |etags: &[&str]| {
        let etags = etags.iter().map(|etag| etag.parse().unwrap()).collect();
        C::CompleteUpload { upload_id: upload(7), etags }
    };
    let three = ["\"a\"", "\"b\"", "\"c\""];
    given::<File>(begun()).when(complete(&three)).rejected("files.file.not_prepared");
    let prepare = |name: &str| C::PrepareUpload { upload_id: upload(7), store_upload: name.parse().unwrap() };
    let prepared = given::<File>(begun()).by_system().when(prepare("s")).events().to_vec();
    let after = || [begun().to_vec(), prepared.clone()].concat();
    given::<File>(after()).by_system().when(prepare("s")).then_nothing();
    given::<File>(after()).by_system().when(prepare("other")).rejected("files.file.already_prepared");
    given::<File>(after()).when(complete(&three[..2])).rejected("files.file.wrong_parts");
    let when = given::<File>(after()).when(complete(&three));
    assert!(matches!(when.events(), [E::UploadCompleted { store_upload: Some(_), etags, .. }] if etags.len() == 3));
    let whole = [created(), begun_with(None)];
    given::<File>(whole).by_system().when(prepare("s")).rejected("files.file.not_in_parts");
}

#[test]
fn an_upload_expires_after_a_day_whether_or_not_anybody_has_swept() {
    let begun = || [created(), begun_with(None)];
    let (soon, late) = (spec_time() + TimeDelta::hours(23), spec_time() + TimeDelta::days(1));
    let complete = C::CompleteUpload { upload_id: upload(7), etags: vec![] };
    assert_eq!(given::<File>(begun()).at(soon).when(complete.clone()).events().len(), 1);
    given::<File>(begun()).at(late).when(complete.clone()).rejected("files.file.upload_expired");
    let expire = C::ExpireUpload { upload_id: upload(7) };
    given::<File>(begun()).by_system().at(soon).when(expire.clone()).rejected("files.file.not_expired");
    let expired = given::<File>(begun()).by_system().at(late).when(expire.clone()).events().to_vec();
    let after = [begun().to_vec(), expired].concat();
    given::<File>(after.clone()).by_system().at(late).when(expire.clone()).then_nothing();
    given::<File>(after).when(complete).rejected("files.file.upload_expired");
    given::<File>(available()).by_system().at(late).when(expire).rejected("files.file.upload_closed");
}

#[test]
fn one_more_version_is_begun_once() {
    let Announced { size, content_type, sha256, .. } = announced(3, None);
    let add = |size| C::AddVersion {
        size: FileSize(size),
        content_type: content_type.clone(),
        sha256: sha256.clone(),
        part_size: None,
        upload_id: Some(upload(8)),
    };
    let second = given::<File>(available()).when(add(size)).events().to_vec();
    let after = || [available(), second.clone()].concat();
    given::<File>(after()).when(add(size)).then_nothing();
    given::<File>(after()).when(add(4)).rejected("files.file.upload_exists");
    let deleted = [available(), vec![E::Deleted {}]].concat();
    given::<File>(deleted).when(add(size)).rejected("files.file.deleted");
    given::<File>(available()).when(add(size)).claims();
}

#[test]
fn a_file_moves_among_the_folders_of_its_client() {
    let to_tree = C::Move { folder_id: tree(), subfolder_id: None };
    let at = |of| knowing_folder(given::<File>(available()), of, false);
    let moved = at(Some(client(5))).when(to_tree.clone()).then([E::Moved { folder_id: tree(), subfolder_id: None }]);
    assert_eq!(moved.state().folder, place(tree(), None));
    at(Some(client(6))).when(to_tree.clone()).rejected("files.file.folder_elsewhere");
    at(None).when(to_tree).rejected("files.file.folder_elsewhere");
    given::<File>(available()).when(C::Move { folder_id: None, subfolder_id: None }).then_nothing();
    let unknown = C::Move { folder_id: tree(), subfolder_id: Some(FolderId(Uuid::from_u128(77))) };
    at(Some(client(5))).when(unknown).rejected("files.file.unknown_subfolder");
}

#[test]
fn a_file_becomes_a_project_s_once_and_comes_back_when_it_was_deleted() {
    let project = |n| ProjectId(Uuid::from_u128(n));
    let attach = |n| C::Attach { project_id: project(n) };
    let attached = given::<File>(available()).when(attach(1)).events().to_vec();
    let after = || [available(), attached.clone()].concat();
    given::<File>(after()).when(attach(1)).then_nothing();
    given::<File>(after()).when(attach(2)).rejected("files.file.attached_elsewhere");
    let deleted = || [available(), vec![E::Deleted {}]].concat();
    given::<File>(deleted()).when(C::Rename { name: "x".parse().unwrap() }).rejected("files.file.deleted");
    given::<File>(deleted()).when(C::Delete {}).then_nothing();
    given::<File>(deleted()).when(C::Restore {}).then([E::Restored {}]);
}
