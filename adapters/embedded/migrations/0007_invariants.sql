-- What is true of every order (PRD §6), held here as well: no statement written by hand can break it.
-- SQLite adds no constraints to a table that is there, so these are triggers.
CREATE TRIGGER orders_insert_times BEFORE INSERT ON orders FOR EACH ROW WHEN (
    NEW.updated_at < NEW.created_at OR NEW.confirmed_at < NEW.created_at
    OR NEW.shipped_at < NEW.confirmed_at OR NEW.delivered_at < NEW.shipped_at
)
BEGIN SELECT RAISE(ABORT, 'the times of an order follow each other'); END;

CREATE TRIGGER orders_update_times BEFORE UPDATE ON orders FOR EACH ROW WHEN (
    NEW.updated_at < NEW.created_at OR NEW.confirmed_at < NEW.created_at
    OR NEW.shipped_at < NEW.confirmed_at OR NEW.delivered_at < NEW.shipped_at
)
BEGIN SELECT RAISE(ABORT, 'the times of an order follow each other'); END;

CREATE TRIGGER orders_insert_amount BEFORE INSERT ON orders FOR EACH ROW
WHEN NOT CAST(NEW.total_amount AS REAL) > 0 OR json_type(NEW.items) <> 'array'
BEGIN SELECT RAISE(ABORT, 'an order has items and costs something'); END;

CREATE TRIGGER orders_update_amount BEFORE UPDATE ON orders FOR EACH ROW
WHEN NOT CAST(NEW.total_amount AS REAL) > 0 OR json_type(NEW.items) <> 'array'
BEGIN SELECT RAISE(ABORT, 'an order has items and costs something'); END;

CREATE TRIGGER orders_next_state BEFORE UPDATE OF status ON orders FOR EACH ROW
WHEN OLD.status <> NEW.status
     AND OLD.status || '>' || NEW.status
         NOT IN ('pending>confirmed', 'confirmed>shipped', 'shipped>delivered')
BEGIN SELECT RAISE(ABORT, 'an order takes one step at a time'); END;

CREATE TRIGGER order_history_insert_step BEFORE INSERT ON order_history FOR EACH ROW
WHEN coalesce(NEW.from_status, '') || '>' || NEW.to_status
     NOT IN ('>pending', 'pending>confirmed', 'confirmed>shipped', 'shipped>delivered')
BEGIN SELECT RAISE(ABORT, 'an order takes one step at a time'); END;

CREATE TRIGGER order_history_update_step BEFORE UPDATE ON order_history FOR EACH ROW
WHEN coalesce(NEW.from_status, '') || '>' || NEW.to_status
     NOT IN ('>pending', 'pending>confirmed', 'confirmed>shipped', 'shipped>delivered')
BEGIN SELECT RAISE(ABORT, 'an order takes one step at a time'); END;
