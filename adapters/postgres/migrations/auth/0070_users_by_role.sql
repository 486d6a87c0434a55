-- Serves the list of those in one role, newest first, and how many they are. There are few admins among
-- many customers.
CREATE INDEX idx_users_role ON users (role, created_at, id);
