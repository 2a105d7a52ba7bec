-- How the life of a decision's wallet ended: what nobody paid teaches nothing about its mode.
alter table selector_open add column outcome text check (length(outcome) between 1 and 40);
