-- What long lists need beside the indexes they have, so that a part of them costs the same wherever
-- it is: the orders in one state, newest first; a customer's sorted by state; and all of them sorted by
-- state, last change or cost.
CREATE INDEX idx_orders_status_created_at ON orders (status, created_at, id);
CREATE INDEX idx_orders_user_status_id ON orders (user_id, status, id);
CREATE INDEX idx_orders_status_id ON orders (status, id);
CREATE INDEX idx_orders_updated_at ON orders (updated_at, id);
CREATE INDEX idx_orders_total_amount ON orders (CAST(total_amount AS REAL), id);
-- Its first column is that of both above, which serve the dashboard's counts as well.
DROP INDEX idx_orders_status;
