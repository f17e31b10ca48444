# Fetches all of INBOX with Mail::IMAPClient: sync.pl PORT USER PASSWORD FOLDER. A file for each message.
use strict;
use warnings;
use Mail::IMAPClient;

my ($port, $user, $password, $folder) = @ARGV;
my %account = (Server => '127.0.0.1', Port => $port, User => $user, Password => $password);
my $client = Mail::IMAPClient->new(%account, Uid => 1, Timeout => 60) or die $@;
$client->examine('INBOX') or die $client->LastError;
for my $uid ($client->messages) {
    open(my $file, '>:raw', "$folder/$uid") or die $!;
    print $file $client->message_string($uid);
    close($file);
}
$client->logout;
