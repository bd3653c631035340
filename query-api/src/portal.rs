//! What only the portal's read models know of a caller. No statement reads two contexts.

/// What the read models say of a portal user who asks who they are; see [`crate::identity::Me`], whose arguments it has.
pub(crate) const KNOWN: &str = "
    select coalesce((
        select json_build_object('name', r.name, 'email', r.email, 'client_id', r.client_id)
        from portal.portal_users r where r.tenant_id = t.tenant::uuid and r.id = $2 and $3::uuid is not null
    ), 'null')";
