-- What clients owe and what vendors are owed: the read tables of revenue begin here. Whoever registers a table lets its readers in.

create schema revenue;
