-- Who asked for a job over the network: the subject of the client certificate and its role, both or
-- neither. The uid of such a job is the bridge's.
ALTER TABLE jobs ADD COLUMN remote_subject TEXT;
ALTER TABLE jobs ADD COLUMN remote_role TEXT;
