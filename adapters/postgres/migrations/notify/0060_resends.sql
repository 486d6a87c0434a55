-- Which notification this one is once more, who wanted that, and why. No foreign key: the first may have
-- gone to the archive.
ALTER TABLE notifications ADD COLUMN resend_of UUID;
ALTER TABLE notifications ADD COLUMN resent_by VARCHAR(255);
ALTER TABLE notifications ADD COLUMN resend_reason VARCHAR(200);
