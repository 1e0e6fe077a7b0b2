-- Messages that offer a share, until the store of artifacts has taken the offer in: written with the message.
CREATE TABLE offered_share (
  seq INTEGER PRIMARY KEY
) STRICT;
