//! What the two APIs do the same way: problems, tokens, permissions, paging, OpenAPI.
