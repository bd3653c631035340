//! Whether the books are right: what `ubos verify` asks of the journal.

use sqlx::PgPool;

/// What is wrong with the journal of one firm in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BooksDifference {
    /// What does not agree, and how.
    pub what: String,
}

/// What was looked at, and everything that is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    /// Postings that were added up.
    pub postings: i64,
    /// What does not agree.
    pub differences: Vec<BooksDifference>,
}

/// An entry is one position of the log, so the books balance at every position if each of them does by itself.
const UNBALANCED: &str = "
    select format('firm %s, position %s: %s %s are not %s', p.tenant_id, p.position, sum(p.debit_minor), p.currency, sum(p.credit_minor))
    from revenue.journal_postings p group by p.tenant_id, p.position, p.currency
    having sum(p.debit_minor) <> sum(p.credit_minor) order by p.tenant_id, p.position";

/// An entry says what its postings come to.
const ENTRIES: &str = "
    select format('firm %s, entry %s: says %s, its postings %s', e.tenant_id, e.id, e.amount_minor, coalesce(p.debit_minor, 0))
    from revenue.journal_entries e
    left join (select tenant_id, entry_id, sum(debit_minor) as debit_minor from revenue.journal_postings group by 1, 2) p
        on p.tenant_id = e.tenant_id and p.entry_id = e.id
    where e.amount_minor is distinct from p.debit_minor order by e.tenant_id, e.position";

/// What is owed to vendors is what is open of their bills.
const PAYABLES: &str = "
    select format('firm %s: payables of %s %s, open bills of %s', tenant_id, sum(booked), currency, sum(owed)) from (
        select tenant_id, currency, credit_minor - debit_minor as booked, 0 as owed
        from revenue.journal_postings where account = 'payable'
        union all select tenant_id, currency, 0, outstanding_minor from revenue.bills) b
    group by tenant_id, currency having sum(booked) <> sum(owed) order by tenant_id, currency";

/// What clients owe is what is open of their invoices: what is not issued yet is not owed.
const RECEIVABLES: &str = "
    select format('firm %s: receivables of %s %s, open invoices of %s', tenant_id, sum(booked), currency, sum(owed)) from (
        select tenant_id, currency, debit_minor - credit_minor as booked, 0 as owed
        from revenue.journal_postings where account = 'receivable'
        union all select tenant_id, currency, 0, outstanding_minor from revenue.invoices) b
    group by tenant_id, currency having sum(booked) <> sum(owed) order by tenant_id, currency";

/// Looks at the journal of every firm.
///
/// # Errors
/// If the database does not answer.
pub async fn books(pool: &PgPool) -> sqlx::Result<Books> {
    let mut books = Books::default();
    // One moment for all of them: what is compared must not move in between.
    let mut tx = event_store::begin_with(pool, "begin isolation level repeatable read read only").await?;
    books.postings = sqlx::query_scalar("select count(*) from revenue.journal_postings").fetch_one(&mut *tx).await?;
    for sql in [UNBALANCED, ENTRIES, PAYABLES, RECEIVABLES] {
        let found: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *tx).await?;
        books.differences.extend(found.into_iter().map(|what| BooksDifference { what }));
    }
    tx.commit().await?;
    Ok(books)
}
