-- What lists of any length need so that a part of them costs the same wherever it is. (Newest first
-- of all customers is served by idx_orders_created_at; ties are few and sorted on the way.)

-- One customer's, newest first; and sorted by state. (In another order they are fetched and sorted,
-- which costs what this customer has, and not what there is.)
CREATE INDEX idx_orders_user_created_at ON orders (user_id, created_at, id);
CREATE INDEX idx_orders_user_status_id ON orders (user_id, status, id);
-- Those in one state, newest first; and all of them, sorted by state.
CREATE INDEX idx_orders_status_created_at ON orders (status, created_at, id);
CREATE INDEX idx_orders_status_id ON orders (status, id);
-- All of them, sorted by their last change, or by what they cost.
CREATE INDEX idx_orders_updated_at ON orders (updated_at, id);
CREATE INDEX idx_orders_total_amount ON orders (total_amount, id);
