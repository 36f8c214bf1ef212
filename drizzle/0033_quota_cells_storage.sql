-- P6: an account of some hundred requests a second is an array beyond two kilobytes, and trying to compress it was most of what
-- a slot cost. It is kept as it is.
ALTER TABLE "quota_accounts" ALTER COLUMN "cells" SET STORAGE EXTERNAL;
