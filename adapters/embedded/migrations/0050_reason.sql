-- Why an operator moved an order, in their words.
ALTER TABLE order_history ADD COLUMN reason TEXT;
