-- One customer's, newest first: a part of the list costs the same wherever it is. (Newest first of
-- all customers is served by idx_notifications_created_at; ties are few and sorted on the way.)
CREATE INDEX idx_notifications_user_created_at ON notifications (user_id, created_at, id);
