-- What is true of every order (PRD §6), held here as well: no statement written by hand can break it.
-- That each state has its times is in the first script.
ALTER TABLE orders
    ADD CONSTRAINT orders_times_follow_each_other CHECK (
        updated_at >= created_at AND confirmed_at >= created_at
        AND shipped_at >= confirmed_at AND delivered_at >= shipped_at
    ),
    ADD CONSTRAINT orders_cost_something CHECK (total_amount > 0),
    ADD CONSTRAINT orders_items_are_a_list CHECK (jsonb_typeof(items) = 'array');

ALTER TABLE order_history
    ADD CONSTRAINT order_history_has_allowed_steps CHECK (
        coalesce(from_status, '') || '>' || to_status
        IN ('>pending', 'pending>confirmed', 'confirmed>shipped', 'shipped>delivered')
    );

-- A check sees a row only as it is to be, so a step that goes back or skips a state takes a trigger.
CREATE FUNCTION orders_refuse_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an order that is % cannot become %', OLD.status, NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_next_state';
END
$$;

CREATE TRIGGER orders_next_state BEFORE UPDATE OF status ON orders FOR EACH ROW
WHEN (
    OLD.status <> NEW.status
    AND (OLD.status, NEW.status)
        NOT IN (('pending', 'confirmed'), ('confirmed', 'shipped'), ('shipped', 'delivered'))
)
EXECUTE FUNCTION orders_refuse_step();
