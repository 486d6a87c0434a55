-- Which notification this one is once more, who wanted that, and why. No foreign key: the first may have
-- gone to the archive.
ALTER TABLE notifications ADD COLUMN resend_of BLOB;
ALTER TABLE notifications ADD COLUMN resent_by TEXT;
ALTER TABLE notifications ADD COLUMN resend_reason TEXT;
